"""The share of the cores that each of a sweep's jobs gets."""

import os

import pytest
from omegaconf import OmegaConf

from ganrev.evaluation import fair_share
from ganrev.evaluation.fair_share import THREADS, FairShare, jobs_at_once, num_cores

LOCAL = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"}
RAY = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher", "ray": {"init": {}, "remote": {}}}
JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}
SIX = ["quant.step=0.5,1,2", "loss=mse,ssim"]


def sweep(launcher, *overrides, **sweeper):
    return OmegaConf.create(
        {"hydra": {"launcher": launcher, "sweeper": sweeper, "overrides": {"task": list(overrides)}}}
    )


def rays(**init):
    return RAY | {"ray": {"init": init, "remote": {}}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (sweep(LOCAL, *SIX), 6),
        (sweep(LOCAL, "seed=range(4)", "loss=mse"), 4),
        (sweep(LOCAL, "seed=1"), 1),
        (sweep(LOCAL, "loss=glob(*)"), num_cores()),
        (sweep(LOCAL, "seed=interval(0,1)"), num_cores()),
        (sweep(LOCAL, *SIX, max_batch_size=4), 4),
        (sweep(LOCAL, params={"seed": "1,2,3"}), 3),
        (sweep(LOCAL, "seed=range(100)"), 16),
        (sweep(RAY, *SIX), 6),
        (sweep(rays(num_cpus=3), *SIX), 3),
        (sweep(RAY | {"ray": {"init": {"num_cpus": 8}, "remote": {"num_cpus": 4}}}, *SIX), 2),
        (sweep(JOBLIB, *SIX), 1),
    ],
)
def test_jobs_that_run_at_once_are_counted(config, expected):
    assert jobs_at_once(config, 16) == expected


@pytest.mark.parametrize(("overrides", "threads"), [(SIX, "2"), (["seed=range(100)"], "1"), (["seed=1"], None)])
def test_each_job_gets_its_share(overrides, threads, monkeypatch):
    monkeypatch.setattr(fair_share, "num_cores", lambda: 16)
    monkeypatch.setattr(os, "environ", {})
    FairShare().on_multirun_start(sweep(LOCAL, *overrides))
    assert os.environ.get(THREADS) == threads


def test_what_the_user_has_set_stays(monkeypatch):
    monkeypatch.setattr(fair_share, "num_cores", lambda: 16)
    monkeypatch.setattr(os, "environ", {THREADS: "7"})
    FairShare().on_multirun_start(sweep(LOCAL, *SIX))
    assert os.environ[THREADS] == "7"
