"""What a generator was trained on is refused as a test picture: by number, by person, and by its look."""

import io
import json
import tarfile

import pytest
import torch
from hydra.utils import instantiate

from experiments import table
from ganrev.codecs.base import described
from ganrev.contamination.hashes import (
    hash_faces,
    hashes_path,
)
from ganrev.evaluation.overlap import Overlap, find_overlap, refuse
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.runner import check_overlap, run
from ganrev.evaluation.summary_text import describe
from ganrev.pixels import to_pillow, to_png
from tests.known_faces import FACES, OTHERS, pictures_of
from tests.tiny import OVERRIDES, TinyGenerator, compose_config

pytestmark = pytest.mark.usefixtures("quick_runs")


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
    assert "1 of 2 pictures the codec was trained on" in describe(RunFolder(folder))
    frame = table.collect([table.Row("GAN", [])], [RunFolder(folder)])
    assert "GAN: 1 of 2 pictures the codec was trained on." in table.notes(frame, [RunFolder(folder)], [])
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


def test_faces_that_the_start_was_trained_on_are_found_too(card):
    hashes_path(card).replace(hashes_path(card).with_name(f"{card.stem}.hashes-1.npz"))
    hash_faces(OTHERS[:4]).save(hashes_path(card))
    overlap = find_overlap(pictures_of(torch.cat([FACES[5:6], OTHERS[2:3]]), [None, None]), card)
    assert overlap.trained_on["face0"].startswith("it looks like training face number 6")
    assert overlap.trained_on["face1"].startswith("it looks like training face number 3")


def test_a_generator_without_a_card_is_said_to_be_unknown(faces_dir, monkeypatch, caplog):
    monkeypatch.setattr(TinyGenerator, "card", None)
    folder = run(compose_run(faces_dir))
    assert "it is unknown what this generator was trained on" in caplog.text
    assert RunFolder(folder).summary["images_unchecked_in_training"] == 2
    assert "2 of 2 pictures may be among those that the codec was trained on" in describe(RunFolder(folder))
