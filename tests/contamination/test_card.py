"""The model card: one schema, read from whatever lies there and written as it always was."""

import json

import pytest

from ganrev.contamination.card import KnownFaces, ModelCard, celeba_numbers, read_card, shipped_card, write_card
from ganrev.contamination.hashes import (
    hashes_path,
    load_hashes,
)
from ganrev.evaluation.overlap import find_overlap
from ganrev.generator.embedded import load_embedded

FACTS = {
    "name": "embedded",
    "unseen_scale": 5.4,
    "latents": "512, each from U[-1, 1]",
    "latents_table": "measured",
    "picture": "128 x 128 RGB",
    "parameters": 11000987,
    "trained_on": "3 faces of a.tar, mirrored at random",
    "command": "python -m ganrev.train",
    "hours": 0.89,
    "machine": {"cores": 2, "gpu": None},
    "torch": "2.13.0+cpu",
    "recipe": {"start": None, "steps": 5600, "lr": 0.0003},
    "licence": "that of the faces trained on",
    "scores": {"faces": "the first", "loss=ssim quant=none": {"ssim": 0.8}},
    "grid": {"parameters": 1700000, "hours": 0.6, "recipe": {"seed": 0, "grid": {"steps": 1800}}},
    "celeba_ids": list(range(182638, 182678)),
    "celeba_identities": [],
    "tuned_celeba_ids": [900],
    "tuned_celeba_identities": [450, 451],
}


def test_the_shipped_card_is_read_whole():
    content = json.loads(shipped_card().read_text())
    card = read_card(shipped_card())
    assert {key: getattr(card, key) for key in content} == content
    assert {key for key in FACTS if getattr(card, key) is None} == FACTS.keys() - content.keys()
    assert card.known.celeba_ids == set(content["celeba_ids"])
    assert card.known.all_identities == {*content["celeba_identities"], *content["tuned_celeba_identities"]}


def test_a_card_is_written_as_training_always_wrote_it(tmp_path):
    write_card(ModelCard(**FACTS), tmp_path / "own.json")
    text = (tmp_path / "own.json").read_text()
    assert list(json.loads(text).items()) == list(FACTS.items())  # in this order
    # Indented by one blank, and numbers on lines of their own up to some length.
    assert text.startswith('{\n "name": "embedded",\n "unseen_scale": 5.4,\n')
    ids = [line for line in text.splitlines() if line.startswith("  1826")]
    assert [len(line.split()) for line in ids] == [14, 14, 12]
    assert text.endswith(' "tuned_celeba_ids": [\n  900\n ],\n "tuned_celeba_identities": [\n  450, 451\n ]\n}\n')
    assert read_card(tmp_path / "own.json") == ModelCard(**FACTS)


def test_the_shipped_card_has_the_layout_that_is_written(tmp_path):
    card = read_card(shipped_card())
    write_card(card, tmp_path / "again.json")
    lines = (tmp_path / "again.json").read_text().splitlines()
    assert sorted(lines) == sorted(shipped_card().read_text().splitlines())  # its licence stood elsewhere


def test_what_a_card_does_not_tell_is_not_written(tmp_path):
    write_card(ModelCard(celeba_ids=[7, 182638]), tmp_path / "own.json")
    assert json.loads((tmp_path / "own.json").read_text()) == {"celeba_ids": [7, 182638]}
    assert read_card(tmp_path / "own.json").known == KnownFaces(celeba_ids=frozenset({7, 182638}))


def test_unknown_keys_are_left_aside(tmp_path):
    (tmp_path / "own.json").write_text('{"data": "none", "unseen_scale": 2}')
    assert read_card(tmp_path / "own.json") == ModelCard(unseen_scale=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"own\.json cannot be read \(.*No such file"),
        (b"{", r"cannot be read, it is no JSON \(.*\); restore it"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b'{"celeba_ids": [1' + b"0" * 5000 + b"]}", "it is no JSON"),
        (b"[1]", "is no JSON object; restore it"),
        (b'{"celeba_ids": 3}', r"celeba_ids of the model card .* must be a list of whole numbers"),
        (b'{"tuned_celeba_ids": [true]}', "tuned_celeba_ids of the model card"),
        (b'{"celeba_identities": null}', "celeba_identities of the model card"),
        (b'{"unseen_scale": 0}', r"unseen_scale of the model card .* must be a positive number, got 0"),
        (b'{"unseen_scale": NaN}', "must be a positive number, got nan"),
        (b'{"unseen_scale": null}', "must be a positive number, got None"),
        (b'{"unseen_scale": 1' + b"0" * 400 + b"}", "must be a positive number"),
    ],
)
def test_a_damaged_card_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "own.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_card(tmp_path / "own.json")


def test_numbers_of_celeba_have_six_digits():
    assert celeba_numbers(["000012", "000003", "000012", "12", "stranger", "0000123"]) == [3, 12]


def test_the_shipped_card_lists_the_test_partition_and_one_hash_a_face(sample):
    known = read_card(shipped_card()).known
    assert len(known.celeba_ids) == 15690
    assert len(known.celeba_identities) == 907
    assert len(known.tuned_celeba_ids) == 100
    assert len(known.tuned_celeba_identities) == 41
    assert min(known.all_ids) >= 182638  # the official test partition
    assert not known.celeba_ids & known.tuned_celeba_ids
    assert not known.celeba_identities & known.tuned_celeba_identities
    assert len(load_hashes(hashes_path(shipped_card()))) == 15690
    assert load_embedded().card == shipped_card()
    assert find_overlap(sample, shipped_card()).trained_on == {}
    assert find_overlap(sample, shipped_card()).alike == {}


def test_a_file_without_a_card_knows_nothing(tmp_path):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(shipped_card().with_suffix(".safetensors").read_bytes())
    assert load_embedded(weights).card is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"own\.json cannot be read"),
        ("[1]", "no JSON object"),
        ('{"celeba_ids": 3}', "celeba_ids of the model card .* list of whole numbers"),
        ('{"celeba_identities": [1, "2"]}', "celeba_identities of the model card"),
    ],
)
def test_a_bad_card_is_an_error(tmp_path, text, message):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_card(path)


def test_a_card_without_numbers_knows_nobody(tmp_path):
    (tmp_path / "own.json").write_text('{"unseen_scale": 2}')
    assert read_card(tmp_path / "own.json").known == KnownFaces()
