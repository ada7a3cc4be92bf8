"""People that the generator was trained on are left out of CelebA's test pictures."""

import json
import logging

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from ganrev.contamination.card import shipped_card
from ganrev.data.celeba import Celeba, seeded_order
from ganrev.evaluation.overlap import find_overlap
from tests.tiny import compose_config

IDENTITIES = {101: 1, 141: 10, 150: 30, 151: 31, 152: 30, 201: 21, 202: 21, 300: 40}


@pytest.fixture
def official(tmp_path):
    """CelebA's layout: 101 was trained on and 201 tuned on, 141 and 202 show the same people as such, 300 is valid."""
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    for number in IDENTITIES:
        pixels = np.random.default_rng(number).integers(0, 256, (218, 178, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06d}.jpg")
    parts = "".join(f"{number:06d}.jpg {1 if number == 300 else 2}\n" for number in IDENTITIES)
    (folder.parent / "list_eval_partition.txt").write_text(parts)
    people = "".join(f"{number:06d}.jpg {person}\n" for number, person in IDENTITIES.items())
    (folder.parent / "identity_CelebA.txt").write_text(people)
    return folder.parent


def test_only_people_neither_trained_nor_tuned_on_are_drawn(official, card, caplog):
    with caplog.at_level(logging.INFO):
        pictures = Celeba(official, "test", exclude=card).load()
    assert pictures.celeba_ids == seeded_order({150, 151, 152}, 0)
    assert pictures.celeba_identities == [IDENTITIES[i] for i in pictures.celeba_ids]
    assert "data.split=test leaves 3 of 7 images, of 2 people: own.json lists the others as trained" in caplog.text
    assert find_overlap(pictures, card).trained_on == {}


def test_without_identities_numbers_are_left_out_and_that_is_said(official, card, caplog):
    (official / "identity_CelebA.txt").unlink()
    pictures = Celeba(official, "test", exclude=card).load()
    assert pictures.celeba_ids == seeded_order({141, 150, 151, 152, 202}, 0)
    assert pictures.celeba_identities == []
    assert "data.split=test leaves 5 of 7 images, by number alone" in caplog.text
    assert "Put CelebA's identity_CelebA.txt beside list_eval_partition.txt" in caplog.text


def test_what_is_clean_by_construction_or_allowed_is_left_alone(official, card):
    assert Celeba(official, "valid", exclude=card).load().celeba_ids == [300]
    assert len(Celeba(official, "all", exclude=card).load()) == 8
    assert len(Celeba(official, "test", exclude=None).load()) == 7
    pictures = Celeba(official, "test", exclude=card, allow_seen_in_training=True).load()
    assert sorted(pictures.celeba_ids) == sorted(IDENTITIES.keys() - {300})
    assert len(find_overlap(pictures, card).trained_on) == 2  # 101 by number, 141 by person


def test_nothing_left_is_an_error(official, card):
    everyone = {"celeba_identities": sorted(set(IDENTITIES.values()))}
    card.write_text(json.dumps(everyone))
    with pytest.raises(ValueError, match=r"none of the 7 images of .* is left: own\.json .* data\.split=valid"):
        Celeba(official, "test", exclude=card).load()


def test_a_bad_identity_line_is_an_error(official):
    (official / "identity_CelebA.txt").write_text("000101.jpg 1\n000141.jpg someone\n")
    with pytest.raises(ValueError, match=r"identity_CelebA\.txt, line 2: expected `000001\.jpg 2880`"):
        Celeba(official, "all").load()


def test_the_config_leaves_out_what_the_shipped_generator_knows():
    assert OmegaConf.to_container(compose_config("data=celeba").data)["exclude"] == "embedded"
    assert Celeba("anywhere", exclude="embedded").exclude == shipped_card()
