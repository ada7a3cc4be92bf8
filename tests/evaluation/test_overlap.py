"""What a generator was trained on is refused as a test picture: by number, by person, and by its look."""

import io
import json
import logging
import tarfile

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image

from experiments import hash_rates, table
from ganrev.cli import main
from ganrev.codecs.base import described
from ganrev.contamination.card import KnownFaces, read_card, shipped_card
from ganrev.contamination.hashes import (
    NUM_BITS,
    SAME_PHOTOGRAPH,
    FaceHashes,
    hash_faces,
    hashes_path,
    load_hashes,
    write_hashes,
)
from ganrev.data.celeba import Celeba, seeded_order
from ganrev.data.pictures import Pictures
from ganrev.evaluation.overlap import Overlap, find_overlap, refuse
from ganrev.evaluation.report import describe
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import check_overlap, run
from ganrev.generator.embedded import load_embedded
from ganrev.pixels import from_pillow, to_pillow, to_png
from ganrev.train.card import known_faces
from tests.tiny import OVERRIDES, TinyGenerator, compose_config

pytestmark = pytest.mark.usefixtures("quick_runs")


def textured_images(num_images, seed):
    """Return uint8 [N, 3, 128, 128] with detail of every size, as photographs have it, and little pure white."""
    rng = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(torch.randn(num_images, 3, side, side, generator=rng), size=128, mode="bicubic") * 2.5 / side
        for side in (3, 6, 12, 24, 48)
    ]
    return (128 + 45 * sum(layers)).clamp(0, 255).round().to(torch.uint8)


FACES = textured_images(40, seed=1)  # stand for the training faces
OTHERS = textured_images(40, seed=2)


@pytest.fixture
def card(tmp_path):
    """A model card of the faces 101 to 140 of ten people, and their hashes beside it."""
    path = tmp_path / "weights" / "own.json"
    path.parent.mkdir()
    content = {"celeba_ids": list(range(101, 141)), "celeba_identities": list(range(1, 11))}
    path.write_text(json.dumps(content | {"tuned_celeba_ids": [201], "tuned_celeba_identities": [21]}))
    hash_faces(FACES).save(hashes_path(path))
    return path


def pictures_of(images, celeba_ids=None, identities=()):
    names = [f"face{index}" for index in range(len(images))]
    return Pictures(images, names, celeba_ids or [None] * len(images), celeba_identities=list(identities))


# ---- the perceptual hash


def similarity(changed, face=3):
    return next(hash_faces(FACES).similarities(changed[None]))[face]


def as_jpeg(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def moved(picture, right, down):
    warp = np.float32([[1, 0, right], [0, 1, down]])
    pixels = cv2.warpAffine(np.asarray(picture), warp, picture.size, borderMode=cv2.BORDER_REPLICATE)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: as_jpeg(picture, 30),
        lambda picture: picture.resize((64, 64)),
        lambda picture: picture.resize((256, 256)),
        lambda picture: picture.resize((64, 64)).resize((128, 128)),
        lambda picture: moved(picture, 2, -2),
        lambda picture: moved(picture, -1, 1),
        lambda picture: picture.crop((2, 2, 126, 126)).resize((128, 128)),
        lambda picture: picture.point(lambda value: min(255, round(value * 1.1))),
        lambda picture: picture.point(lambda value: round(value * 0.9)),
        lambda picture: as_jpeg(moved(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1, 1), 50),
        hash_rates.center_cut,
    ],
)
def test_a_changed_face_is_still_the_same_photograph(change):
    changed = from_pillow(change(to_pillow(FACES[3])).convert("RGB"))
    assert similarity(changed) > SAME_PHOTOGRAPH
    assert next(hash_faces(FACES).similarities(changed[None])).argmax() == 3


def test_other_pictures_are_not():
    largest = [row.max() for row in hash_faces(FACES).similarities(OTHERS)]
    assert len(largest) == len(OTHERS)
    assert max(largest) < SAME_PHOTOGRAPH
    flat = torch.full((1, 3, 128, 128), 90, dtype=torch.uint8)
    assert next(hash_faces(FACES).similarities(flat)).max() < SAME_PHOTOGRAPH


def test_similarities_are_in_range_and_one_a_face():
    rows = list(hash_faces(FACES).similarities(FACES[:2]))
    assert [row.shape for row in rows] == [(40,), (40,)]
    assert np.abs(rows).max() <= 1 + 1e-5
    assert rows[1][1] == pytest.approx(1, abs=1e-5)


def test_hashes_survive_their_file(tmp_path):
    hashes = hash_faces(FACES)
    again = load_hashes(hashes.save(tmp_path / "x.hashes.npz"))
    assert again.bits.shape == (40, NUM_BITS // 8)
    for name in ("bits", "center", "spread"):
        assert np.array_equal(getattr(again, name), getattr(hashes, name))


def test_a_damaged_file_of_hashes_is_an_error(tmp_path):
    path = tmp_path / "x.hashes.npz"
    with pytest.raises(ValueError, match=r"x\.hashes\.npz is no file of face hashes"):
        load_hashes(path)
    hash_faces(FACES).save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:-200], b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of face hashes"):
            load_hashes(path)
    np.savez(path, bits=np.zeros((2, 8), np.uint8), center=np.zeros(64), spread=np.ones(64))
    with pytest.raises(ValueError, match="expected uint8 hashes of 128 bits"):
        load_hashes(path)
    with pytest.raises(ValueError, match="positive deviations"):
        FaceHashes(np.zeros((1, 16), np.uint8), np.zeros(128), np.zeros(128))


# ---- the shipped card


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


# ---- which pictures are known


def test_by_number_by_person_and_by_look(card):
    images = torch.cat([OTHERS[:3], FACES[5:6], OTHERS[3:4]])
    overlap = find_overlap(pictures_of(images, [140, 141, 142, None, None], [None, 10, 11, None, None]), card)
    assert list(overlap.trained_on) == ["face0", "face1", "face3"]
    assert overlap.trained_on["face0"] == "CelebA 000140 was trained on"
    assert overlap.trained_on["face1"] == "its person, CelebA's identity 10, was trained on"
    assert overlap.trained_on["face3"].startswith("it looks like training face CelebA 000106 (similarity 1.00)")
    assert overlap.alike == {}


def test_a_look_does_not_outweigh_a_number(card):
    overlap = find_overlap(pictures_of(FACES[:1], [7]), card)
    assert overlap.trained_on == {}
    assert "training face CelebA 000101" in overlap.alike["face0"]


def test_what_was_only_tuned_on_is_not_refused(card):
    assert find_overlap(pictures_of(OTHERS[:1], [201], [21]), card).trained_on == {}


def test_missing_hashes_are_said(card, caplog):
    hashes_path(card).unlink()
    assert find_overlap(pictures_of(FACES[:2], [101, None]), card).trained_on.keys() == {"face0"}
    assert "own.hashes.npz is missing: pictures of unknown origin are not compared" in caplog.text


def test_the_refusal_says_which_why_and_what_to_do():
    refuse({})
    seen = {f"face{i}": "it was" for i in range(7)}
    with pytest.raises(
        ValueError, match=r"7 pictures were among .* face0: it was; .*face4: it was; and 2 more.*allow_seen_in_training"
    ):
        refuse(seen)


# ---- runs


def compose_run(tmp_path, *overrides):
    return compose_config(
        *OVERRIDES, "data=folder", f"data.root={tmp_path / 'faces'}", f"out={tmp_path / 'runs'}", *overrides
    )


@pytest.fixture
def faces_dir(tmp_path, card, monkeypatch):
    """Two pictures of unknown origin, the second a training face as a poor JPEG; the tiny generator has the card."""
    monkeypatch.setattr(TinyGenerator, "card", card)
    (tmp_path / "faces").mkdir()
    to_pillow(OTHERS[0]).save(tmp_path / "faces" / "a.png")
    to_pillow(FACES[0]).save(tmp_path / "faces" / "b.jpg", quality=40)
    return tmp_path


def test_a_run_on_a_training_face_is_refused_unless_allowed(faces_dir):
    with pytest.raises(ValueError, match=r"1 picture was among .* b: it looks like training face CelebA 000101"):
        run(compose_run(faces_dir))
    assert not (faces_dir / "runs").exists()
    folder = run(compose_run(faces_dir, "data.allow_seen_in_training=true"))
    assert RunFolder(folder).summary["images_seen_in_training"] == 1
    assert "1 of 2 pictures the generator was trained on" in describe(RunFolder(folder))
    frame = table.collect([table.Row("GAN", [])], [RunFolder(folder)])
    assert "GAN: 1 of 2 pictures the generator was trained on." in table.notes(frame, [RunFolder(folder)], [])
    with pytest.raises(ValueError, match="allow_seen_in_training"):  # although the run is there
        run(compose_run(faces_dir))


def test_an_unseen_picture_passes_and_nothing_is_said(faces_dir):
    folder = run(compose_run(faces_dir, "data.limit=1"))
    assert RunFolder(folder).summary["images_seen_in_training"] == 0
    assert "trained on" not in describe(RunFolder(folder))


def test_tables_of_older_runs_say_nothing(faces_dir):
    folder = run(compose_run(faces_dir, "data.limit=1"))
    summary = RunFolder(folder).summary
    for key in ("images_seen_in_training", "images_alike_in_training"):
        del summary[key]
    (folder / "summary.json").write_text(json.dumps(summary))
    assert "trained on" not in " ".join(
        table.notes(table.collect([table.Row("GAN", [])], [RunFolder(folder)]), [RunFolder(folder)], [])
    )


def test_codecs_without_a_card_take_any_picture(faces_dir, monkeypatch):
    assert RunFolder(run(compose_run(faces_dir, "codec=jpeg"))).summary["images_seen_in_training"] == 0
    monkeypatch.setattr(TinyGenerator, "card", None)
    assert RunFolder(run(compose_run(faces_dir))).summary["num_images"] == 2


@pytest.fixture
def pca(tmp_path, monkeypatch):
    """Overrides of PCA, fitted on a shard of faces that are named by their CelebA numbers, 182638 and on."""
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for number, image in enumerate(FACES, 182638):
            entry, content = tarfile.TarInfo(f"{number}.png"), to_png(image)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return ["codec=pca", f"codec.faces=[{tmp_path / 'shard.tar'}]", "codec.components=20"]


def test_pca_knows_the_faces_it_was_fitted_on(faces_dir, pca):
    with pytest.raises(ValueError, match=r"1 picture was among .* b: it looks like training face CelebA 182638"):
        run(compose_run(faces_dir, *pca))
    assert RunFolder(run(compose_run(faces_dir, *pca, "data.limit=1"))).summary["images_seen_in_training"] == 0
    folder = run(compose_run(faces_dir, *pca, "data.allow_seen_in_training=true"))
    assert RunFolder(folder).summary["images_seen_in_training"] == 1


def test_pca_knows_the_numbers_of_the_faces_it_was_fitted_on(pca):
    codec = instantiate(compose_config(*pca).codec)
    with pytest.raises(ValueError, match=r"1 picture was among .* face1: CelebA 182677 was trained on"):
        check_overlap(described(codec), pictures_of(OTHERS[:3], [182637, 182677, 182678]), allowed=False)
    assert check_overlap(described(codec), pictures_of(OTHERS[:1], [182678]), allowed=False) == Overlap()


def test_pictures_that_the_generator_drew_are_not_looked_at(faces_dir, monkeypatch):
    monkeypatch.setattr("ganrev.evaluation.runner.find_overlap", lambda *_: pytest.fail("it looked"))
    config = compose_config(*OVERRIDES, "data=seen", "data.limit=1", f"out={faces_dir / 'runs'}")
    assert RunFolder(run(config)).summary["images_seen_in_training"] == 0


def test_every_data_source_has_the_switch():
    for name in ("celeba", "celeba_sample", "folder", "seen"):
        assert compose_config(f"data={name}").data.allow_seen_in_training is False


# ---- data=celeba


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


def test_identities_must_be_one_a_picture():
    with pytest.raises(ValueError, match="an identity for each picture or none at all, got 2 pictures, 1 identities"):
        pictures_of(FACES[:2], identities=[4])


# ---- what training leaves, and the measurement


def test_training_leaves_numbers_and_hashes(tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("celeba_id,identity,split\n12,5,train-0\n3,5,train-0\n40,6,valid\n41,7,sealed\n")
    cfg = OmegaConf.create({"manifest": str(manifest), "start": None})
    assert known_faces(cfg, ["000012", "000003", "stranger"], ["000040"]) == {
        "celeba_ids": [3, 12],
        "celeba_identities": [5],
        "tuned_celeba_ids": [40],
        "tuned_celeba_identities": [6],
    }
    with pytest.raises(ValueError, match="lacks 1 of 2 faces, the first 000013"):
        known_faces(cfg, ["000012", "000013"], [])
    cfg.manifest = None
    assert known_faces(cfg, ["000012"], ["x"]) == {
        "celeba_ids": [12],
        "celeba_identities": [],
        "tuned_celeba_ids": [],
        "tuned_celeba_identities": [],
    }
    path = write_hashes(["000012", "000003"], FACES[:2], tmp_path / "own.safetensors")
    assert path == hashes_path(tmp_path / "own.json") == tmp_path / "own.hashes.npz"
    assert next(load_hashes(path).similarities(FACES[:1])).argmax() == 1  # in the order of the ids


def test_faces_that_the_start_was_trained_on_are_found_too(card):
    hashes_path(card).replace(hashes_path(card).with_name(f"{card.stem}.hashes-1.npz"))
    hash_faces(OTHERS[:4]).save(hashes_path(card))
    overlap = find_overlap(pictures_of(torch.cat([FACES[5:6], OTHERS[2:3]]), [None, None]), card)
    assert overlap.trained_on["face0"].startswith("it looks like training face number 6")
    assert overlap.trained_on["face1"].startswith("it looks like training face number 3")


def test_a_generator_without_a_card_is_said_to_be_unknown(faces_dir, monkeypatch, caplog):
    monkeypatch.setattr(TinyGenerator, "card", None)
    folder = run(compose_run(faces_dir))
    assert "nothing tells what this generator was trained on" in caplog.text
    assert RunFolder(folder).summary["images_unchecked_in_training"] == 2
    assert "2 of 2 pictures may be among those that the generator was trained on" in describe(RunFolder(folder))


def test_the_rates_are_measured_in_miniature(tmp_path, monkeypatch, capsys):
    for folder, images, first in (("train", FACES[:6], 1), ("valid", OTHERS[:2], 11)):
        (tmp_path / folder).mkdir()
        for index, image in enumerate(images):
            to_pillow(image).save(tmp_path / folder / f"{first + index:06d}.png")
    rows = "".join(f"{i},{100 + i},x\n" for i in range(1, 13))
    (tmp_path / "manifest.csv").write_text("celeba_id,identity,split\n" + rows)
    hashes = hash_faces(FACES[:6]).save(tmp_path / "own.hashes.npz")
    sample = Pictures(torch.cat([OTHERS[2:4], FACES[2:3]]), ["x", "y", "z"], [21, 22, 23])
    monkeypatch.setattr(hash_rates, "CelebaSample", lambda **_: type("Sample", (), {"load": lambda self: sample})())
    paths = {name: str(tmp_path / name) for name in ("train", "valid", "manifest.csv", "rates.md")}
    arguments = ["--faces", paths["train"], "--valid", paths["valid"], "--manifest", paths["manifest.csv"]]
    arguments += ["--hashes", str(hashes), "--changed", "2", "--others", "3", "--output", paths["rates.md"]]
    main(["hash-rates", *arguments])
    text = (tmp_path / "rates.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "are those of these faces" in text
    assert "| JPEG 30 | 2 |" in text
    assert "| validation faces | 2 |" in text
    assert "z and 000003 (1.000)" in text
