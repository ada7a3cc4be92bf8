"""The second half of a training: the grid, once z is finished."""

import copy
import time
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import Tensor

from ganrev.generator.embedded import EmbeddedNetwork, load_embedded
from ganrev.generator.weights import load_checkpoint
from ganrev.progress import ProgressBar
from ganrev.reversal.device import Device
from ganrev.train.folder import check_finite, log_row, store
from ganrev.train.grid_linear import train_linear
from ganrev.train.grid_scores import scores_of_proposals
from ganrev.train.grid_search import LevelledLatents, grid_of
from ganrev.train.grid_training import GridTraining


def prepare_grid(cfg: DictConfig, out: Path, z: Path, images: Tensor) -> GridTraining:
    """Build a fresh training of the grid, its first stage done, or resume from the last checkpoint.

    Args:
        cfg: the training's options.
        out: its folder.
        z: finished weights of z, with their table of latents beside them.
        images: training faces, uint8 [N, 3, 128, 128].
    """
    begun, checkpoint = out / "grid_start.pt", out / "grid_checkpoint.pt"
    began = time.perf_counter()
    network = load_embedded(z, unseen_scale=1.0)
    torch.manual_seed(cfg.seed)
    network.add_grid()
    network.to(Device(cfg.device).torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    grid = grid_of(network).requires_grad_(True)
    if begun.exists():
        grid.load_state_dict(load_checkpoint(begun))
    else:
        train_linear(cfg, LevelledLatents(network), images)
        store(grid.state_dict(), begun)
    training = GridTraining(cfg, network, images)
    training.seconds = time.perf_counter() - began
    if checkpoint.exists():
        training.load(load_checkpoint(checkpoint))
        print(f"resuming at step {training.step} of the grid", flush=True)
    return training


def train_grid(cfg: DictConfig, out: Path, z: Path, images: Tensor, valid: Tensor) -> tuple[EmbeddedNetwork, float]:
    """Train a grid to `cfg.grid.steps`, scoring, logging and checkpointing on the way.

    Args:
        cfg: the training's options.
        out: its folder.
        z: finished weights of z, with their table of latents beside them.
        images: training faces, uint8 [N, 3, 128, 128].
        valid: others to score on.

    Returns:
        The network with the averaged grid, and the seconds that its grid took.
    """
    training = prepare_grid(cfg, out, z, images)
    num_steps = cfg.grid.steps
    bar = ProgressBar(total=num_steps, initial=training.step, desc="the grid", unit="step", mininterval=10)
    began = time.perf_counter() - training.seconds
    while training.step < num_steps:
        terms = training.advance()
        bar.update()
        if training.step % cfg.score_every == 0 or training.step == num_steps:
            training.seconds = time.perf_counter() - began
            check_finite(terms, training.step)
            scores = scores_of_proposals(LevelledLatents(averaged(training)), valid)
            log_row(out / "log.csv", "grid", {"step": training.step, "seconds": training.seconds} | terms | scores)
            store(training.state(), out / "grid_checkpoint.pt")
            bar.set_postfix(scores)
    bar.close()
    network = averaged(training)
    unit_step = grid_of(network).unit_step
    unit_step.copy_((unit_step / cfg.grid.coarser).bfloat16())  # sixteen bits, see `Grid`
    return network, training.seconds


def averaged(training: GridTraining) -> EmbeddedNetwork:
    """Return a copy of the network with the averaged grid."""
    network = copy.deepcopy(training.network)
    network.grid = copy.deepcopy(training.average)
    return network
