"""The written schema against real runs: a fresh one, and those of the first version."""

from pathlib import Path

import pytest

from ganrev.evaluation import record, runner
from ganrev.evaluation.record import PROVENANCE, ROWS, SCHEMA_VERSION, SUMMARY, missing, undescribed
from ganrev.evaluation.run_folder import RunFolder
from ganrev.pixels import to_pillow
from tests.evaluation.test_stored_runs import RUNS, STORED
from tests.tiny import OVERRIDES, compose_config, smooth_images

pytestmark = pytest.mark.usefixtures("quick_runs")

KINDS = {"str": str, "int": int, "float": float, "bool": bool, "dict": dict, "list": list}


def flatten(content, fields):
    """Return the values by dotted keys, one level down where a field says so."""
    nested = {field.name.split(".")[0] for field in fields if "." in field.name}
    flat = {}
    for key, value in content.items():
        flat |= {f"{key}.{inner}": v for inner, v in value.items()} if key in nested else {key: value}
    return flat


def check(content, fields):
    flat = flatten(content, fields)
    assert undescribed(list(flat), fields) == []
    assert missing(list(flat), fields) == []
    exact = {field.name: field for field in fields}
    for key, value in flat.items():
        if key in exact and value is not None:
            kind = KINDS[exact[key].kind]
            assert isinstance(value, kind | int if kind is float else kind), (key, value)
            assert not (kind is int and isinstance(value, bool)), (key, value)


def check_run(run):
    check(run.summary, SUMMARY)
    check(run.provenance, PROVENANCE)
    rows = run.rows
    assert undescribed(rows.columns.tolist(), ROWS) == []
    assert missing(rows.columns.tolist(), ROWS) == []
    for field in ROWS:
        if field.name in rows and field.kind in ("int", "bool", "str"):
            kind = {"int": "iu", "bool": "b", "str": "OSTU"}[field.kind]
            assert rows[field.name].dtype.kind in kind, field.name
            assert field.optional or not rows[field.name].isna().any()
    columns = {*run.summary["mean"], *run.summary["ci95"]}
    assert columns <= set(rows.columns)


@pytest.mark.parametrize("codec", [[], ["codec=gan_auto"], ["codec=jpeg"]], ids=["gan", "gan_auto", "jpeg"])
def test_a_run_leaves_what_the_schema_says(codec, tmp_path):
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(smooth_images(2, 128)):
        to_pillow(image).save(tmp_path / "pictures" / f"{number}.png")
    source = ["data=folder", f"data.root={tmp_path / 'pictures'}", f"out={tmp_path / 'runs'}"]
    run = RunFolder(runner.run(compose_config(*OVERRIDES, *source, *codec)))
    check_run(run)
    assert run.summary["schema"] == SCHEMA_VERSION
    assert run.summary["suffix"] == run.suffix


@pytest.mark.parametrize("name", RUNS)
def test_runs_of_the_first_version_have_no_number(name):
    run = RunFolder(STORED / "runs" / RUNS[name]["folder"])
    assert run.summary.get("schema", 1) == 1
    check_run(run)


def test_what_no_field_describes_is_named():
    assert undescribed(["name", "chosen_colour", "colour"], ROWS) == ["colour"]
    assert "psnr" in missing(["name"], ROWS)
    assert "stlpips" not in missing(["name"], ROWS)


def test_every_field_is_described():
    for fields in (ROWS, SUMMARY, PROVENANCE):
        assert len({field.name for field in fields}) == len(fields)
        assert all(field.meaning and field.kind in KINDS for field in fields)
    assert tuple(field.name for field in ROWS[: len(record.COLUMNS)]) == record.COLUMNS


def test_the_page_of_the_record_is_that_of_the_schema():
    page = Path(__file__).resolve().parents[2] / "docs" / "record.md"
    assert page.read_text(encoding="utf-8") == record.to_page(), "python -m ganrev.evaluation.record > docs/record.md"
