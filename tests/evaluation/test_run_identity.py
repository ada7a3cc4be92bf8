"""What a run is called stays when code moves, and when options come that were not there before."""

import re

import pytest
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf

from ganrev.codecs.base import CodecIdentity, described
from ganrev.evaluation import run_identity
from ganrev.evaluation.run_identity import (
    TARGETS,
    canonical_config,
    modern_config,
    parse_shard_name,
    run_id,
    shard_name,
)
from ganrev.paths import config_dir
from tests.tiny import OVERRIDES, compose_config

IDENTITY = CodecIdentity("gancodec", 1.0, "float32", "a" * 64)
CODEC = {
    "_target_": "ganrev.gan.GanCodec",
    "loss": {"_target_": "ganrev.losses.WeightedSum", "terms": {"ssim": {"_target_": "ganrev.losses.SSIM"}}},
    "generator": {"_target_": "ganrev.generator.dcgan.load", "path": "x.pt", "prior": "normal"},
    "device": {"_target_": "ganrev.device.Device", "name": "cpu"},
    "lrs": [0.1, {"_target_": "their.Thing"}],
    "seed": 0,
}


def targets_of_configs():
    text = "".join(path.read_text() for path in config_dir().rglob("*.yaml"))
    return set(re.findall(r"_target_: (\S+)", text)) - {
        f"ganrev.evaluation.{name}" for name in ("FairShare", "JobRecord")
    }


def test_every_target_of_the_configs_is_in_the_table():
    assert targets_of_configs() == set(TARGETS.values())
    assert len(set(TARGETS.values())) == len(TARGETS)


@pytest.mark.parametrize("target", TARGETS.values())
def test_every_target_of_the_table_is_there(target):
    assert callable(get_object(target))


def test_the_hash_is_that_of_the_first_version():
    # Computed by the code that hashed the config as it was.
    assert run_id(IDENTITY, CODEC, "d" * 64, 0) == "gancodec-85bfed7ea6c1"


def test_places_are_left_out():
    canonical = canonical_config(CODEC)
    assert "device" not in canonical
    assert canonical["generator"] == {"_target_": "ganrev.generator.dcgan.load", "prior": "normal"}
    assert canonical["lrs"] == CODEC["lrs"]
    assert CODEC["generator"]["path"] == "x.pt"


def test_a_target_that_moves_keeps_its_runs(monkeypatch):
    before = run_id(IDENTITY, CODEC, "d" * 64, 0)
    moved = {"ganrev.gan.GanCodec": "ganrev.codecs.GanCodec", "ganrev.losses.SSIM": "ganrev.elsewhere.SSIM"}
    monkeypatch.setattr(run_identity, "TARGETS", TARGETS | moved)
    modern = OmegaConf.to_container(modern_config(OmegaConf.create(CODEC)))
    assert modern["_target_"] == "ganrev.codecs.GanCodec"
    assert modern["loss"]["terms"]["ssim"]["_target_"] == "ganrev.elsewhere.SSIM"
    assert modern["lrs"][1]["_target_"] == "their.Thing"
    assert run_id(IDENTITY, modern, "d" * 64, 0) == run_id(IDENTITY, CODEC, "d" * 64, 0) == before


def test_a_later_key_at_its_default_keeps_old_runs(monkeypatch):
    before = run_id(IDENTITY, CODEC, "d" * 64, 0)
    monkeypatch.setattr(run_identity, "TARGETS", TARGETS | {"ganrev.gan.GanCodec": "ganrev.codecs.GanCodec"})
    later = CODEC | {"_target_": "ganrev.codecs.GanCodec", "colour": None}
    assert run_id(IDENTITY, later, "d" * 64, 0) != before
    monkeypatch.setattr(run_identity, "LATER_KEYS", {("ganrev.gan.GanCodec", "colour"): None})
    assert run_id(IDENTITY, later, "d" * 64, 0) == before
    assert run_id(IDENTITY, later | {"colour": "red"}, "d" * 64, 0) != before


def test_automatic_mode_of_the_first_release_is_read_as_what_decodes_its_files():
    kept = {"_target_": "ganrev.codecs.AutoCodec", "target_bytes": 250, "seed": 3}
    gone = {"losses": {}, "lrs": [0.1], "restarts": 2, "judge": {}, "budget": 1.0}
    stored = kept | gone | {"_target_": "ganrev.auto.AutoCodec"}
    modern = OmegaConf.to_container(modern_config(OmegaConf.create(stored)))
    parts = {"loss": {"_target_": "ganrev.reversal.SSIM"}, "reversal": {"_target_": "ganrev.reversal.Reversal"}}
    assert modern == kept | parts
    assert modern_config(OmegaConf.create(kept)) == kept


def test_interpolations_and_missing_values_stay():
    config = OmegaConf.create({"codec": {"_target_": "ganrev.gan.GanCodec", "seed": "${seed}"}, "seed": 3, "x": "???"})
    modern = modern_config(config)
    assert modern.codec.seed == 3
    assert OmegaConf.missing_keys(modern) == {"x"}


def test_names_of_shards():
    name = shard_name("jpeg-0123456789ab", 2, 12)
    assert name == "jpeg-0123456789ab-2of12"
    assert parse_shard_name(name) == ("jpeg-0123456789ab", 2, 12)
    assert parse_shard_name("jpeg-0123456789ab") is None


def identify(*overrides, digest="d" * 64):
    config = compose_config(*OVERRIDES, *overrides)
    codec_config = OmegaConf.to_container(config.codec, resolve=True)
    return run_id(described(instantiate(config.codec)).identity(), codec_config, digest, config.seed)


def test_what_can_change_a_result_changes_the_name(monkeypatch):
    names = [
        identify(),
        identify(digest="e" * 64),
        identify("seed=1"),
        identify("loss=l1"),
        identify("loss=ssim_l1"),
        identify("loss=ssim_l1", "loss.weights.l1=0.1"),
        identify("quant=standard"),
        identify("quant.step=0.99"),
        identify("entropy=none"),
        identify("latent_scale=3"),
        identify("generator.unseen_scale=3.5"),
        identify("reversal.steps=21"),
        identify("reversal.lr=0.021"),
        identify("reversal.restarts=2"),
        identify("reversal=paper"),
        identify("device.dtype=bfloat16"),
        identify("+generator.digest=" + "ff" * 32),
        identify("codec=png"),
        identify("codec=jpeg"),
        identify("codec=jpeg", "codec.quality=11"),
        identify("codec=kmeans"),
    ]
    monkeypatch.setattr(run_identity, "ALGORITHM_VERSION", 0)
    names.append(identify())
    assert len(set(names)) == len(names)


def test_places_and_the_machine_do_not_change_the_name():
    assert identify().startswith("gancodec-")
    same = [
        identify("generator.path=/somewhere/else"),
        identify("out=elsewhere"),
        identify("force=true"),
        identify("batch_size=3"),
        identify("device.lanes=5"),
        identify("device=auto", "device.dtype=float32"),
        identify("data=seen", "latent_scale=null", "reversal.clip=none"),  # the data count by their digest
    ]
    assert set(same) == {identify()}


def test_a_model_card_that_changes_the_scale_changes_the_name(monkeypatch):
    before = identify()
    monkeypatch.setattr("tests.tiny.TinyGenerator.card_scale", 6.0)
    assert identify() != before
