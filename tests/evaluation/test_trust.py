"""A run of a stranger calls nothing but codecs."""

import pytest
from omegaconf import OmegaConf

from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.trust import check_targets
from ganrev.evaluation.verify import verify
from tests.tiny import OVERRIDES, compose_config


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "ganrev.pixels.torch.load",  # by way of a module that imports it
        "numpy.load",
        "os.system",
        "builtins.exec",
        "ganrev.files.write_whole",
        "tests.tiny.os.system",
        "nowhere.at_all",
        "not a name",
    ],
)
def test_what_is_no_part_of_a_codec_is_refused(target, monkeypatch):
    config = compose_config("codec.loss={_target_: 'x', terms: [{_target_: 'y'}]}")
    for node in (config.codec, config.codec.loss, config.data, config.codec.loss.terms[0]):
        hostile = config.copy()
        check_key = node._get_full_key("_target_")
        OmegaConf.update(hostile, check_key, target)
        with pytest.raises(ValueError, match=r"the run's config calls"):
            check_targets(hostile)
    monkeypatch.setenv("HYDRA_INSTANTIATE_ALLOWLIST_OVERRIDE", f"x:y:{target}")
    check_targets(hostile)


def test_our_configs_and_a_users_own_code_are_not():
    check_targets(compose_config())
    check_targets(compose_config("codec=jpeg", "data=folder", "data.root=x"))
    check_targets(compose_config(*OVERRIDES))  # tests.tiny


def test_a_hostile_run_is_not_verified(tmp_path):
    run = RunFolder(tmp_path / "gancodec-0123456789ab")
    run.begin()
    run.write_config(OmegaConf.create({"codec": {"_target_": "torch.load", "f": "blobs/a.gr", "weights_only": False}}))
    run.write_summary({})
    with pytest.raises(ValueError, match=r"calls torch\.load, which is no part of our codecs"):
        verify(run)
