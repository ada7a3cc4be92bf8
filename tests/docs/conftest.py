"""What README and docs/ take for granted, and a folder in which they run."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import ganrev.api
from experiments.alignment import paste
from ganrev.coding import container
from ganrev.pixels import to_pillow
from tests.docs.miniature import FULL, LEARNED, MODEL, ROOT
from tests.faces import as_png, write_folder, write_tar
from tests.learned import write_weights
from tests.tiny import TinyGridGenerator, smooth_images

NUM_FACES = 12


@pytest.fixture(scope="session")
def material(tmp_path_factory, drawn_faces) -> Path:
    """What the pages take for granted: pictures, faces to train on, and weights that a training left."""
    folder = tmp_path_factory.mktemp("material")
    faces = smooth_images(NUM_FACES, 128)
    to_pillow(faces[0]).save(folder / "face.jpg")
    paste(drawn_faces[0], np.random.default_rng(0))[0].save(folder / "photo.jpg", quality=95)
    (folder / "photos").mkdir()
    for number, face in enumerate(drawn_faces[:2]):
        face.save(folder / "photos" / f"{number}.png")
    write_tar(folder / "faces.tar", {f"{number}.png": as_png(face) for number, face in enumerate(faces)})
    write_folder(folder / "more", faces)
    write_folder(folder / "held-out", smooth_images(4, 128, seed=1))
    old = container.Container(entropy_code=1, step_size=0.05, fingerprint=bytes.fromhex("0075bb"), payload=b"z")
    (folder / "old.gr").write_bytes(container.write(old))
    (folder / LEARNED).mkdir()
    write_weights("hyperprior", folder / LEARNED, TinyGridGenerator())
    (folder / "people.csv").write_text("celeba_id,identity,split\n1,1,train\n", encoding="utf-8")
    trained = folder / "results" / "training"
    trained.mkdir(parents=True)
    for file in (ROOT / "ganrev" / "weights").glob("embedded*"):
        (trained / file.name).symlink_to(file)
    return folder


@pytest.fixture
def place(material, tmp_path, monkeypatch) -> Path:
    """A folder with that material, in which the commands of one page run."""
    shutil.copytree(material, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    if not FULL:
        compose = ganrev.api.compose_for_codec
        monkeypatch.setattr(ganrev.api, "compose_for_codec", lambda overrides: compose([*overrides, *MODEL]))
    return tmp_path
