"""Generators' files that several tests share."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from ganrev.generator import embedded


@pytest.fixture(scope="session")
def embedded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fresh weights, a visible convolutional branch and a card."""
    torch.manual_seed(0)
    network = embedded.EmbeddedNetwork()
    nn.init.normal_(network.to_rgb.weight, std=0.05)
    folder = tmp_path_factory.mktemp("embedded")
    (folder / "weights.json").write_text(json.dumps({"unseen_scale": 7.5, "data": "none"}))
    return embedded.save(network, folder / "weights.safetensors")
