"""Untrained weights of the learned codecs, good enough to write files with."""

from pathlib import Path

import torch

from baselines.learned.autoencoders import Autoencoder
from baselines.learned.model import Kind
from experiments.opponents.publishing import fit_codes, round_weights, save_model
from experiments.opponents.training import make_model
from ganrev.generator.base import Generator
from ganrev.pixels import to_x
from tests.tiny import smooth_images


def write_weights(kind: Kind, folder: Path, generator: Generator) -> Path:
    """Write weights that begin where a training would, with the scale codes that suit them."""
    torch.manual_seed(0)
    model = make_model(kind, generator)
    faces = smooth_images(6, 128, seed=5)
    if isinstance(model, Autoencoder):
        model.start_from(to_x(faces))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape))
    round_weights(model)
    fit_codes(model, faces[:2])
    return save_model(model, folder / f"{kind}.safetensors")
