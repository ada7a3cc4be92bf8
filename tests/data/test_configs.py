"""Every data source by its config."""

import importlib
import inspect

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ganrev.evaluation import runner
from ganrev.paths import config_dir
from tests.picture_files import make_pictures
from tests.tiny import OVERRIDES, compose_config


def composed(*overrides):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize("name", sorted(path.stem for path in (config_dir() / "data").glob("*.yaml")))
def test_config_names_every_argument_of_the_constructor(name):
    data = OmegaConf.to_container(composed(f"data={name}").data, resolve=False)
    module, _, target = data.pop("_target_").rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), target)).parameters
    assert list(data) == ["shard", *parameters]  # of all sources, read by the runner
    for key, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert data[key] == parameter.default


def test_seen_sets_what_the_paper_does_for_seen_images():
    cfg = composed("data=seen")
    assert (cfg.latent_scale, cfg.reversal.clip) == (1, "hard")
    assert cfg.data.generator == cfg.generator
    assert composed("data=seen", "data.prior=faces").reversal.clip == "none"  # it has no bounds
    assert composed("data=seen", "reversal.clip=stochastic").reversal.clip == "stochastic"


SOURCES = sorted(path.stem for path in (config_dir() / "data").glob("*.yaml"))


@pytest.mark.parametrize("source", SOURCES)
def test_every_data_source_can_be_split_and_knows_nothing_of_it(source, monkeypatch):
    asked = []

    class Source:
        def load(self):
            return make_pictures(10)

    def instantiate(config):
        asked.append(dict(config))
        return Source()

    monkeypatch.setattr(runner, "instantiate", instantiate)
    root = [] if source in ("seen", "celeba_sample") else ["data.root=x"]
    cfg = compose_config(*OVERRIDES, f"data={source}", *root, "batch_size=4")
    assert cfg.data.shard is None
    assert runner.load_pictures(cfg, None).names == make_pictures(10).names
    cfg.data.shard = "2/2"
    assert runner.load_pictures(cfg, None).names == make_pictures(10).names[4:]
    assert cfg.data.shard == "2/2"
    assert all(config["_target_"] == cfg.data["_target_"] for config in asked)
    assert all("shard" not in config for config in asked)


def test_every_data_source_has_the_switch():
    for name in ("celeba", "celeba_sample", "folder", "seen"):
        assert compose_config(f"data={name}").data.allow_seen_in_training is False
