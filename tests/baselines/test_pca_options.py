"""PCA's options, by hand and by config."""

from functools import partial

import pytest
import torch
from hydra.utils import instantiate

from baselines import components
from baselines.pca import load_pca
from tests.tiny import compose_config, smooth_images


@pytest.fixture
def load_small(face_folder):
    return partial(load_pca, [face_folder], step=100.0, components=8)


def test_the_step_is_not_part_of_what_is_kept(load_small, monkeypatch):
    images = smooth_images(2, 128, seed=1)
    codec = load_small()
    monkeypatch.setattr(components, "fit", None)  # calling it would fail
    again = load_small(step=50.0)
    assert again.digest == codec.digest
    assert torch.equal(again.decode(codec.encode(images)), codec.decode(codec.encode(images)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"components": 0}, r"codec\.components must be a whole number of at least 1, got 0"),
        ({"components": 2.5}, r"codec\.components must be a whole number of at least 1, got 2\.5"),
        ({"seed": "x"}, r"codec\.seed must be a whole number, got 'x'"),
        ({"step": 1}, r"codec\.step must be a number from 1\.73 to 5\.65e\+04 grey levels, got 1"),
    ],
    ids=["no component", "half a component", "seed", "step"],
)
def test_bad_options_are_refused(load_small, changes, message):
    with pytest.raises(ValueError, match=message):
        load_small(**changes)


def test_bad_options_are_refused_before_the_fit(load_small, monkeypatch):
    monkeypatch.setattr(components, "load_corpus", None)  # calling it would fail
    for changes in ({"step": 1}, {"rounding": 1}, {"components": 0}, {"seed": None}):
        with pytest.raises(ValueError, match=r"codec\."):
            load_small(**changes)


def test_the_config_builds_it(face_folder):
    overrides = [
        "codec=pca",
        f"codec.faces=[{face_folder}]",
        "codec.components=8",
        "codec.step=64",
        "codec.rounding=0.4",
    ]
    codec = instantiate(compose_config(*overrides).codec)
    assert (codec.step, codec.rounding, codec.image_size, codec.suffix) == (64.0, 0.4, 128, ".pca")
    images = smooth_images(2, 128)
    assert codec.decode(codec.encode(images)).shape == images.shape


def test_the_config_alone_says_what_is_missing():
    with pytest.raises(Exception, match=r"codec=pca fits its components to training faces.*codec\.faces=\[") as caught:
        instantiate(compose_config("codec=pca").codec)
    assert isinstance(caught.value.__cause__ or caught.value, ValueError)
