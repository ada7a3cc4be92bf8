"""The grid is trained on a finished z, which stays as it is; a killed run goes on."""

import json
import shutil

import pytest
import torch

from ganrev.contamination.card import shipped_card
from ganrev.generator.embedded import latents_path, load_embedded
from ganrev.paths import weights_dir
from ganrev.train import __main__ as app
from ganrev.train import grid_stage
from tests.train.miniature import Killed, configured, quick_measuring


def configured_on_finished_z(place, out):
    """Return the options of a training of the grid alone, on the weights that ship."""
    cfg = configured(place, out)
    cfg.start, cfg.steps = str(weights_dir() / "embedded.safetensors"), 0
    return cfg


@pytest.fixture(scope="module")
def trained(place):
    """The folder of such a training; a killed one, what it had left, and what became of it."""
    out, other = place / "grid", place / "grid_killed"
    with quick_measuring():
        app.train(configured_on_finished_z(place, out))
    advance = grid_stage.GridTraining.advance

    def interrupted(training):
        if training.step == 3:
            raise Killed
        return advance(training)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "publish", lambda cfg, *arguments: other / "embedded.safetensors")
        patch.setattr(grid_stage.GridTraining, "advance", interrupted)
        with pytest.raises(Killed):
            app.train(configured_on_finished_z(place, other))
        left = torch.load(other / "grid_checkpoint.pt", weights_only=True)["step"]
        patch.setattr(grid_stage.GridTraining, "advance", advance)
        app.train(configured_on_finished_z(place, other))
    yield out, other, left
    shutil.rmtree(out)
    shutil.rmtree(other)


def test_z_stays_as_it_is(trained):
    before, after = load_embedded(), load_embedded(trained[0] / "embedded.safetensors")
    assert after.grid is not None
    assert torch.equal(before.linear.weight, after.linear.weight)
    z = torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    assert torch.equal(before(z), after(z))
    tables = [latents_path(folder / "embedded.safetensors").read_bytes() for folder in (weights_dir(), trained[0])]
    assert tables[0] == tables[1]


def test_the_grid_learns(trained):
    grid = load_embedded(trained[0] / "embedded.safetensors").grid
    fresh = load_embedded().add_grid()
    for name in ("tell2.weight", "atoms", "late.to_rgb.weight", "prior.place", "proposal.two.weight"):
        assert not torch.equal(grid.state_dict()[name], fresh.state_dict()[name]), name


def test_symbols_are_coarser_than_in_training(trained):
    grid = load_embedded(trained[0] / "embedded.safetensors").grid
    assert float(grid.unit_step) == float(load_embedded().add_grid().unit_step) / 2


def test_the_card_tells_both_parts(trained):
    card, shipped = json.loads((trained[0] / "embedded.json").read_text()), json.loads(shipped_card().read_text())
    for key in ("unseen_scale", "hours", "scores", "latents_table", "parameters", "recipe", "machine"):
        assert card[key] == shipped[key], key
    assert set(shipped["celeba_ids"]) < set(card["celeba_ids"])
    grid = card["grid"]
    assert grid["latents"] == "12288: 48 channels of 16 x 16"
    assert grid["recipe"]["grid"]["steps"] == 4
    assert set(grid) == {
        "latents",
        "parameters",
        "trained_on",
        "command",
        "hours",
        "machine",
        "torch",
        "recipe",
        "scores",
    }
    points = [value for name, value in grid["scores"].items() if name != "faces"]
    assert len(points) == 9
    assert all(point["bytes"] > 0 and 0 < point["ssim"] < 1 for point in points)


def test_a_killed_run_ends_as_if_nothing_had_happened(trained):
    out, other, left = trained
    assert left == 2
    states = [torch.load(folder / "grid_checkpoint.pt", weights_only=True) for folder in (out, other)]
    assert [(state["step"], state["num_batches"]) for state in states] == [(4, 4)] * 2
    for part in ("grid", "average"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), f"{part}.{name}"
    for own, others in zip(*(state["in_hand"] for state in states), strict=True):
        assert torch.equal(own["symbols"], others["symbols"])
