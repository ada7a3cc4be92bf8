"""The table of latents: how wide each is, and how visible."""

import json

import pytest
import safetensors.torch
import torch
from torch import nn

from ganrev.cli import main
from ganrev.generator.base import Generator
from ganrev.generator.embedded import latents_path, load_embedded
from ganrev.pixels import to_images, to_x
from ganrev.reversal.losses import MSE
from ganrev.reversal.settings import Reversal
from ganrev.train import latents
from ganrev.train.batches import deblur
from tests.faces import write_folder
from tests.tiny import TinyGenerator, smooth_images
from tests.train.miniature import quick_measuring

FACES = smooth_images(6, 128)


class LinearGenerator(Generator):
    """A linear map from five latents to pictures of 4 x 4 pixels; the last latent shows nowhere."""

    latent_dim, image_size = 5, 4

    def __init__(self) -> None:
        super().__init__()
        basis = torch.randn(self.latent_dim, 48, generator=torch.Generator().manual_seed(0))
        self.basis = nn.Parameter(basis * torch.tensor([1.0, 0.5, 2.0, 0.1, 0.0])[:, None])

    def forward(self, z):
        return (z @ self.basis).view(-1, 3, 4, 4)


@pytest.mark.parametrize("batch_size", [2, 16])
def test_visibility_is_the_curvature_of_the_loss(batch_size):
    generator = LinearGenerator().freeze()
    z = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    found, twice = latents.visibility(generator, (MSE(), lambda x, target: 2 * MSE()(x, target)), z, batch_size)
    assert found.shape == (5,)
    assert torch.allclose(twice, 2 * found)
    assert found.dtype == torch.float32
    # The mean square of d times a row of the basis has twice that row's own mean square as second derivative.
    assert torch.allclose(found, 2 * generator.basis.square().mean(dim=1), rtol=1e-3, atol=1e-6)


def test_steps_are_halfway_between_those_of_both_measures():
    steps = latents.balanced_steps(torch.tensor([4.0, 1.0, 0.25]), torch.tensor([1600.0, 100.0, 6.25]))
    # By SSIM 1/2, 1, 2; by MSE 1/40, 1/10, 4/10, which is ten times finer on average.
    assert torch.allclose(steps, torch.tensor([0.5**1.5, 1.0, 2**1.5]))


@pytest.fixture
def reversed_faces(monkeypatch):
    """Replace the embedded generator by the tiny one and the descent by a short one; the faces that were measured."""
    measured, measure = [], latents.measure

    def watched(generator, faces, num_nudged):
        measured.append((faces, num_nudged))
        return measure(generator, faces, num_nudged)

    monkeypatch.setattr(latents, "load_embedded", lambda path, unseen_scale: TinyGenerator(size=128))
    monkeypatch.setattr(latents, "_REVERSAL", Reversal(lr=0.1, steps=10))
    monkeypatch.setattr(latents, "measure", watched)
    return measured


def read_table(weights):
    return safetensors.torch.load_file(latents_path(weights))


def test_a_table_has_what_the_decoder_asks_for(reversed_faces, tmp_path):
    weights = tmp_path / "some.safetensors"
    line = latents.write_table(weights, FACES, 4, 2)
    table = read_table(weights)
    assert {name: (value.shape, value.dtype) for name, value in table.items()} == {
        name: ((16,), torch.float32) for name in ("deviations", "steps")
    }
    TinyGenerator().set_latent_statistics(
        table["deviations"], table["steps"]
    )  # raises for numbers that are not positive
    assert line.startswith("measured on 4 of the training faces")
    assert line.endswith("steps on 2, by SSIM and MSE")
    assert "\n" not in line


def test_the_faces_are_drawn_from_all_always_the_same_and_sharpened(reversed_faces, tmp_path):
    weights = tmp_path / "some.safetensors"
    line = latents.write_table(weights, FACES, 99, 98)
    assert line.startswith("measured on 6 of")
    assert line.endswith("steps on 6, by SSIM and MSE")
    for num_faces in (3, 3, 5):
        latents.write_table(weights, FACES, num_faces, 1)
    (everything, _), *parts = reversed_faces
    sharp = to_images(deblur(to_x(FACES), torch.full((6,), 0.85)))
    order = [next(i for i, face in enumerate(sharp) if torch.equal(face, drawn)) for drawn in everything]
    assert sorted(order) == list(range(6))
    assert order != list(range(6))
    assert [len(faces) for faces, _ in parts] == [3, 3, 5]
    assert all(torch.equal(faces, everything[: len(faces)]) for faces, _ in parts)


def test_deviations_come_from_all_faces_and_steps_from_the_first(reversed_faces, tmp_path):
    tables = []
    for num_faces, num_nudged in ((4, 1), (4, 2), (2, 1)):
        latents.write_table(tmp_path / "some.safetensors", FACES, num_faces, num_nudged)
        tables.append(read_table(tmp_path / "some.safetensors"))
    assert torch.equal(tables[0]["deviations"], tables[1]["deviations"])
    assert not torch.equal(tables[0]["deviations"], tables[2]["deviations"])
    assert torch.equal(tables[0]["steps"], tables[2]["steps"])
    assert not torch.equal(tables[0]["steps"], tables[1]["steps"])


def test_the_command_takes_48_faces_and_nudges_8_unless_told(reversed_faces, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(latents, "write_table", lambda *arguments: asked.append(arguments[2:]) or "as told")
    folder = str(write_folder(tmp_path / "faces", FACES[:1]))
    main(["latents", str(tmp_path / "a.safetensors"), "--faces", folder])
    main(["latents", str(tmp_path / "a.safetensors"), "--faces", folder, "-n", "5", "--nudged", "3"])
    assert asked == [(48, 8), (5, 3)]
    assert capsys.readouterr().out.splitlines() == [f"{tmp_path / 'a.latents.safetensors'}: as told"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "0"], "needs a face to reverse and one to nudge, got 0, 8"),
        (["--nudged", "-1"], "needs a face to reverse and one to nudge, got 48, -1"),
        (["--faces", "nowhere.tar"], "there are no faces at nowhere.tar"),
        ([], "absent.safetensors"),
    ],
)
def test_a_mistake_ends_with_one_line(arguments, message, tmp_path, capsys):
    folder = str(write_folder(tmp_path / "faces", FACES[:1]))
    with pytest.raises(SystemExit) as stopped:
        main(["latents", str(tmp_path / "absent.safetensors"), "--faces", folder, *arguments])
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert message in complaint
    assert len(complaint.splitlines()) == 1
    assert not list(tmp_path.glob("*.latents.safetensors"))


def test_the_command_writes_the_published_table_again(undisturbed, place, capsys):
    weights = undisturbed / "embedded.safetensors"
    table = latents_path(weights)
    published, generator = table.read_bytes(), load_embedded(weights)
    assert generator.latent_deviations.unique().numel() > 500
    assert generator.latent_step_sizes.unique().numel() > 500
    sources = ["--faces", str(place / "shard.tar"), "--faces", str(place / "more")]
    with quick_measuring():
        main(["latents", str(weights), *sources, "-n", "2", "--nudged", "1"])
        assert table.read_bytes() != published
        main(["latents", str(weights), *sources, "-n", "1", "--nudged", "1"])
    assert table.read_bytes() == published
    measured_on = json.loads((undisturbed / "embedded.json").read_text())["latents_table"]
    assert capsys.readouterr().out.splitlines()[-1] == f"{table}: {measured_on}"
