"""Runs of the trainer in miniature; one undisturbed run serves all tests."""

import shutil
from pathlib import Path

import pytest

from ganrev.generator.embedded import latents_path
from ganrev.reversal.perceptual import is_available
from ganrev.train import __main__ as app
from tests.faces import as_png, write_folder, write_tar
from tests.tiny import smooth_images
from tests.train.miniature import NUM_FACES, Killed, configured, quick_measuring


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Faces, half of them in a shard; a checkpoint has 350 MB, so nothing is kept."""
    folder = tmp_path_factory.mktemp("train")
    faces = smooth_images(NUM_FACES, 128)
    half = NUM_FACES // 2
    write_tar(folder / "shard.tar", {f"{n:06d}.png": as_png(face) for n, face in enumerate(faces[:half])})
    write_folder(folder / "more", faces[half:], first=half)
    write_folder(folder / "valid", smooth_images(2, 128, seed=1), first=900)
    rows = [f"{n},{n // 2},train" for n in range(NUM_FACES)] + ["900,450,valid", "901,450,valid"]
    (folder / "manifest.csv").write_text("\n".join(["celeba_id,identity,split", *rows]))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def averages():
    """What the averaged weights of one layer were after each step of the undisturbed run."""
    return []


@pytest.fixture(scope="session")
def undisturbed(place, averages):
    """The folder of a run from beginning to end, where another run had left a table of latents."""
    if not is_available():
        pytest.skip("the extra `perceptual` is not installed")
    advance = app.Training.advance

    def watched(training, images):
        terms = advance(training, images)
        averages.append(training.average.to_rgb.weight.half())
        return terms

    (place / "undisturbed").mkdir()
    latents_path(place / "undisturbed" / "embedded.safetensors").write_bytes(b"another run's")
    with quick_measuring() as patch:
        patch.setattr(app.Training, "advance", watched)
        app.train(configured(place, place / "undisturbed"))
    return place / "undisturbed"


@pytest.fixture(scope="session")
def resumed(place, undisturbed):
    """The folder of the same run, killed during its last step and begun again; and what it had left when killed."""
    out = place / "resumed"
    out.mkdir()
    advance = app.Training.advance

    def interrupted(training, images):
        if training.step == 3:
            raise Killed
        return advance(training, images)

    with quick_measuring() as patch:
        patch.setattr(app, "publish", lambda cfg, *arguments: Path(cfg.out) / "embedded.safetensors")
        patch.setattr(app.Training, "advance", interrupted)
        with pytest.raises(Killed):
            app.train(configured(place, out))
        left = {path.name: path.read_bytes() for path in out.iterdir() if path.stat().st_size < 1 << 26}
        patch.setattr(app.Training, "advance", advance)
        app.train(configured(place, out))
    return out, left
