"""Tables as text, Markdown and LaTeX."""

import math
import re

import pandas as pd
import pytest

from experiments import rendering, table
from tests.experiments.tables import run_table

pytestmark = pytest.mark.usefixtures("quick_runs")


def test_table1_is_printed_with_the_papers_figures_below_each_row(table1):
    _, printed = table1
    lines = printed.splitlines()
    assert "[4/7] JPEG, 10 % ..." in lines
    header = next(line.split() for line in lines if line.startswith("scheme"))
    assert header[1:4] == ["px", "bytes", "BPP"]
    assert any(line.startswith("All rows: n ") for line in lines)
    jpeg = next(i for i, line in enumerate(lines) if line.startswith("JPEG, 1 %"))
    assert "±" in lines[jpeg]
    assert lines[jpeg + 1].split() == ["in", "the", "paper", "0.2176", "62.64", "20.465", "589.15", "0.528"]
    two = next(i for i, line in enumerate(lines) if line.startswith("K-means, K = 2"))
    assert "in the paper" not in lines[two + 1]


def test_table1_says_where_it_comes_from_and_what_is_missing(table1):
    folder, printed = table1
    for text in (printed, (folder / "table1.md").read_text(), (folder / "table1.tex").read_text().replace("\\", "")):
        assert re.search(r"Measured on .+; commit [0-9a-f]{12}|Measured on .+; commit unknown", text)
        assert "Skipped notes.txt: not a picture" in text
        assert "Rows differ in the size of their pictures" in text
        assert "data=folder" in text
        assert "out=" not in text
        assert "Generator: tiny, weights 0123456789ab." in text


def test_table1_in_markdown_is_one_table(table1):
    text = (table1[0] / "table1.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 7 + 6
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| PNG | 2 | 128 |")
    assert "| ∞ |" in lines[2]
    assert lines[3].startswith("| *in the paper* |  |  |  | *13.63* | *1* | *∞* | *0* | *1* |")


def test_table1_in_latex_is_escaped(table1):
    text = (table1[0] / "table1.tex").read_text()
    assert text.count(r"\quad in the paper & ") == 6
    assert r"JPEG, 10 \% & 2 & 128" in text
    assert r"$\infty$" in text
    assert text.isascii()
    rows = [line for line in text.splitlines() if line.endswith(r"\\") and "&" in line]
    assert len({line.count("&") for line in rows}) == 1
    assert not re.search(r"(?<!\\)[%#_]", text.replace("% needs", ""))


def test_equal_sizes_of_128_need_no_column(tmp_path, common):
    rows = [{"label": "jpeg", "overrides": ["codec=jpeg", "codec.quality=1"]}]
    printed, _ = run_table(rows, tmp_path, *common)
    assert "n pictures of 128 x 128 pixels" in printed
    assert " px " not in printed


def test_st_lpips_is_shown_where_it_was_measured(table1):
    frame = pd.read_csv(table1[0] / "table1.csv")
    assert "stlpips" not in frame
    assert "ST-LPIPS" not in table1[1]
    assert (rendering.cells(frame.assign(stlpips=0.25)).loc[[0, 2], "ST-LPIPS"] == "0.250").all()


def test_later_measures_are_shown_where_they_are_and_blank_for_old_runs(table1):
    frame = pd.read_csv(table1[0] / "table1.csv")
    assert {"delta_e", "ms_ssim"} <= set(frame)
    assert "CIEDE2000" in table1[1]
    assert "SSIMULACRA2" not in table1[1]
    old = rendering.cells(frame.assign(delta_e=[math.nan, *frame["delta_e"][1:]], identity_share=0.95))
    assert old["ΔE"].iloc[0] == ""
    assert re.fullmatch(r"\d+\.\d\d", old["ΔE"].iloc[2])
    assert old["same person, %"].iloc[0] == "95"


def test_an_undefined_number_is_left_out_and_an_interval_of_one_picture_too():
    frame = pd.DataFrame([{"scheme": "a", "image_size": 64, "psnr": 20.5, "psnr_ci95": math.nan}])
    frame = frame.assign(**{f"{k}_in_paper": math.nan for k in table.PAPER_FIGURES})
    assert rendering.cells(frame).to_dict("records") == [{"scheme": "a", "px": "64", "PSNR, dB": "20.50"}]


def test_a_terminal_gets_blocks_that_it_can_show():
    columns = {header: ["1.000 ±0.100", "", "2.000 ±0.100"] for header in ("BPP", "PSNR, dB", "SSIM", "ΔE")}
    measured = pd.DataFrame({"scheme": ["JPEG, 1 %", "  in the paper", "PNG"], "n": ["10", "", "10"], **columns})
    measured.loc[1, "BPP"] = "0.2"
    lines = rendering.to_text(measured, "Title", ["A note."], width=45).splitlines()
    assert max(map(len, lines)) <= 45
    heads = [line.split("  ")[0] for line in lines]
    assert heads.count("scheme") == 2
    assert heads.count("JPEG, 1 %") == 2  # each block has the labels,
    assert lines.count("  in the paper           0.2") == 1  # and the paper's figures where there are some
    assert lines[-2:] == ["All rows: n 10.", "A note."]
    assert rendering.to_text(measured, "Title", [], width=200).count("JPEG, 1 %") == 1
