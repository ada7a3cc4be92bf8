"""How long a report takes, in miniature."""

import json
import shutil

import pytest

from experiments.bench import report_page
from experiments.bench.report_page import Case
from tests.calling import running_quickly
from tests.tiny import OVERRIDES


def test_a_small_report_is_measured(tmp_path, capsys):
    if shutil.which("chromium") is None:
        pytest.skip("there is no chromium")
    pytest.importorskip("playwright")
    cases = (Case(2, 2, most_seconds=1000), Case(1, 3, most_megabytes=60, most_seconds_to_open=3))
    user = [*OVERRIDES, "+generator.size=64"]
    with running_quickly():
        report_page.run(user, tmp_path, cases, repeats=1)
    results = json.loads((tmp_path / "report.json").read_text())
    assert [(one["num_pictures"], one["num_codecs"]) for one in results] == [(2, 2), (1, 3)]
    assert all(0 < one["seconds_to_open"] <= one["seconds_to_see"] for one in results)
    assert results[0]["megabytes"] == pytest.approx((tmp_path / "report-2x2.html").stat().st_size / 1e6)
    text = (tmp_path / "report.md").read_text()
    assert "| 2 x 2 |" in text
    assert "(at most 60)" in text
    assert text in capsys.readouterr().out


def test_a_browser_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(report_page.shutil, "which", lambda name: None)
    with pytest.raises(ValueError, match="apt-get install chromium"):
        report_page.open_page(tmp_path / "report.html")
