"""Which overrides count for a row, and which tables are none."""

import pytest
from hydra.errors import HydraException

from experiments import composition
from experiments.composition import applicable
from tests.calling import call
from tests.experiments.tables import EXPERIMENTS, load, run_table

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_every_experiment_is_run_here():
    kinds = {
        "rows": {"table1", "table2", "baselines", "generators", "reach", "figure2"},
        "figures": {"figures"},
        "overrides": {"sweep", "grid", "learning_rates", "step_sizes", "levels", "seeds"},
        "curves": {"rd", "losses", "colours"},
        "grid": {"automatic"},
    }
    found = {kind: {p.stem for p in EXPERIMENTS if kind in load(p.stem)} for kind in kinds}
    assert found == kinds
    assert {p.stem for p in EXPERIMENTS} == set.union(*kinds.values())


@pytest.mark.parametrize(
    ("own", "user", "left"),
    [
        (["codec=png"], ["data.limit=3"], ["data.limit=3"]),
        (["reversal=paper"], ["reversal.steps=3"], ["reversal.steps=3"]),
        (["loss=ssim", "quant=extreme"], ["quant=standard", "seed=1"], ["seed=1"]),
        (["codec=jpeg", "codec.quality=1"], ["codec.quality=9"], []),
        (["data=seen"], ["data=folder", "data.root=x", "out=y"], ["out=y"]),
        (["data=seen"], ["+data.extra=1", "~data.strict"], ["+data.extra=1", "~data.strict"]),
        (["loss=mse"], ["codec.faces=[a.tar]", "data.limit=3"], ["data.limit=3"]),
        (["codec=pca"], ["codec.faces=[a.tar]", "data.limit=3"], ["codec.faces=[a.tar]", "data.limit=3"]),
        (["loss=mse"], ["data=folder", "data.root=x"], ["data=folder", "data.root=x"]),
    ],
)
def test_a_rows_own_choice_stands(own, user, left):
    assert applicable(own, user) == left


def test_an_override_that_only_other_rows_know_is_no_mistake_and_one_that_none_knows_is():
    rows = [["loss=mse"], ["codec=pca"]]
    (plain, _), (components, _) = composition.compose_all(rows, ["codec.faces=[a.tar]"])
    assert "faces" not in plain.codec
    assert components.codec.faces == ["a.tar"]
    with pytest.raises(HydraException, match=r"codec\.facez"):
        composition.compose_all(rows, ["codec.facez=[a.tar]"])


def test_an_override_that_no_row_reads_is_warned_about(tmp_path, common, caplog):
    rows = [{"label": "jpeg", "overrides": ["codec=jpeg", "codec.quality=1"]}]
    run_table(rows, tmp_path, *common, "latent_scale=2")
    assert "latent_scale=2 has no effect" in caplog.text
    assert "data.root" not in caplog.text


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"label": "a"}], "row 1: expected the keys label, overrides"),
        ([{"label": "a", "overrides": "codec=png"}], "expected `overrides` as a list"),
        ([{"label": "a", "overrides": ["codec=png"], "paper": {"vmaf": 1}}], "got vmaf"),
        ([{"label": "a", "overrides": ["codec=png"]}] * 2, "a label of its own"),
        ([], "at least one row"),
        (3, "expected rows as a list of label and overrides, got 3"),
        ([{"label": f, "overrides": [f"codec={f}"]} for f in ("png", "pgn")], "codec/pgn"),
    ],
)
def test_a_bad_table_ends_with_one_message(rows, message, tmp_path, capsys):
    printed, status = run_table(rows, tmp_path)
    assert status == 2
    assert "[1/" not in printed  # said before anything is run
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize(("command", "other"), [("table", "sweep"), ("sweep", "table1"), ("figures", "sweep")])
def test_a_table_of_another_command_is_refused(command, other, tmp_path, capsys):
    for name, message in (
        (other, "belongs to another command"),
        ("none", f"choose one of {', '.join(path.stem for path in EXPERIMENTS)}"),
    ):
        assert call(command, name, "--results", tmp_path)[1] == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
