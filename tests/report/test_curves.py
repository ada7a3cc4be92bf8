"""The curves of a report: of its runs, and of what `ganrev rd` has left."""

import re

import pandas as pd
import pytest

from ganrev.report.curves import draw_curves, draw_table
from ganrev.report.page import write_report
from ganrev.report.reported import read_reported


@pytest.fixture
def table(tmp_path):
    """A CSV of two curves, one with a floor and a point that some picture lacks."""
    lines = [
        {"curve": curve, "num_bytes": size, "num_without": int(curve == "beta & co" and size == 100)}
        | {key: value for one in ("psnr", "ms_ssim") for key, value in ((one, size / 50), (f"{one}_ci95", 0.5))}
        | {"floor_bytes": 95.0 if curve == "beta & co" else None}
        for curve in ("alpha", "beta & co")
        for size in (100, 400, 1600)
    ]
    path = tmp_path / "rd.csv"
    pd.DataFrame(lines).to_csv(path, index=False)
    return path


def test_what_rd_leaves_is_drawn_by_each_of_its_measures(table):
    drawings = draw_table(table)
    assert [re.search('aria-label="(.*?)"', svg)[1].split(",")[0] for svg in drawings] == [
        "Bytes against PSNR",
        "Bytes against MS-SSIM",
    ]
    for svg in drawings:
        assert svg.startswith("<svg ")
        assert "alpha" in svg
        assert "beta &amp; co" in svg


def test_a_report_shows_the_whole_curves_beside_those_of_its_runs(stored, table, tmp_path):
    folders = stored.of("jpeg1", "jpeg10")
    without = write_report(folders, tmp_path / "without.html").read_text()
    text = write_report(folders, tmp_path / "report.html", curves=table).read_text()
    num_curves = len(draw_curves(read_reported(folders)))
    assert without.count('<svg role="img"') == num_curves
    assert text.count('<svg role="img"') == num_curves + 2
    assert "Whole curves" in text
    assert "(rd.csv)" in text
    ids = re.findall(r'<g id="(.*?)"', text)
    assert len(set(ids)) == len(ids)


def test_another_table_is_named(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is no table of curves as ganrev rd leaves it"):
        draw_table(path)


def test_a_curve_may_be_called_na(table):
    frame = pd.read_csv(table)
    frame["curve"] = frame["curve"].replace("alpha", "NA")
    frame.to_csv(table, index=False)
    assert all("NA" in re.sub("<style.*?</style>", "", svg, flags=re.S) for svg in draw_table(table))
