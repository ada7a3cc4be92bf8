"""The notebook: every cell runs, and what it shows may be shown."""

import json

import matplotlib.pyplot as plt
import pytest

from tests.docs.miniature import ROOT

NOTEBOOK = json.loads((ROOT / "docs" / "tour.ipynb").read_text(encoding="utf-8"))
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_every_cell_runs(place, monkeypatch):
    monkeypatch.setattr(plt, "show", plt.close)
    namespace = {}
    for number, cell in enumerate(CELLS, start=1):
        exec(compile("".join(cell["source"]), f"tour.ipynb, code cell {number}", "exec"), namespace)
    plt.close("all")


def test_it_was_run_from_top_to_bottom_without_an_error():
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    kinds = {output["output_type"] for cell in CELLS for output in cell["outputs"]}
    assert "display_data" in kinds
    assert "error" not in kinds


def test_it_shows_no_celeba_picture():
    assert not any("celeba" in "".join(cell["source"]).lower().replace("celeba's", "") for cell in CELLS)
