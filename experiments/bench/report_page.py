"""`ganrev bench-report`: how long a report takes to be written and to be opened, and how large it is.

The pictures are drawn by the generator (`data=seen`), the codecs are quick ones, and Chromium opens the page.
"""

import json
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import composition
from ganrev.evaluation.child import child_environment, python_module
from ganrev.files import write_whole
from ganrev.markdown import markdown_table

_CODECS = (
    ("codec=jpeg", "codec.quality=10"),
    ("codec=webp", "codec.quality=10"),
    ("codec=jpeg2000", "codec.quality=25"),
    ("codec=png",),
    ("codec=jpeg", "codec.quality=1"),
    ("codec=jpeg", "codec.quality=30"),
    ("codec=webp", "codec.quality=1"),
    ("codec=webp", "codec.quality=30"),
)
_INTERACTIVE = """() => {
  const heading = [...document.querySelectorAll('#scores th')].find((one) => one.textContent === 'bytes');
  heading.click();
  const place = [...heading.parentNode.cells].indexOf(heading);
  const sizes = [...document.querySelectorAll('#scores tbody tr')].map((row) => +row.cells[place].dataset.sort);
  const sorted = sizes.every((size, i) => i === 0 || sizes[i - 1] <= size);
  return sorted || sizes.every((size, i) => i === 0 || sizes[i - 1] >= size);
}"""


@dataclass(frozen=True)
class Case:
    """A report of so many pictures in so many codecs, and what it may take.

    Attributes:
        num_pictures: that the generator draws.
        num_codecs: the first of a list.
        most_seconds: to write it; None for any.
        most_megabytes: of its file; None for any.
        most_seconds_to_open: until a click sorts its table; None for any.
    """

    num_pictures: int
    num_codecs: int
    most_seconds: float | None = None
    most_megabytes: float | None = None
    most_seconds_to_open: float | None = None


CASES = (Case(10, 8, most_seconds=20), Case(500, 4, most_megabytes=60, most_seconds_to_open=3))


def make_runs(case: Case, overrides: Sequence[str], out: Path) -> list[Path]:
    """Run the codecs of a case, unless that has been done; returns the folders of the runs."""
    own = ["data=seen", f"data.limit={case.num_pictures}", "score_limit=10"]
    rows = [[*codec, *own] for codec in _CODECS[: case.num_codecs]]
    return [composition.run_one(row, [f"out={out}", *overrides]).path for row in rows]


def write_page(runs: Sequence[Path], page: Path) -> dict[str, float]:
    """Write a report in a process of its own, as a user would; returns `seconds`, and those of the CPU alone."""
    command = python_module("ganrev.cli", "report", *map(str, runs), "-o", str(page))
    began, before = time.perf_counter(), _cpu_seconds()
    subprocess.run(command, check=True, env=child_environment(), stdout=subprocess.DEVNULL)
    return {"seconds": time.perf_counter() - began, "cpu_seconds": _cpu_seconds() - before}


def _cpu_seconds() -> float:
    """Return what finished child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def open_page(page: Path) -> dict[str, float]:
    """Open a report in Chromium; returns `seconds_to_open`, until a click sorts, and `seconds_to_see`, all it shows.

    Raises:
        ValueError: there is no Chromium or no Playwright, or the click did not sort.
    """
    program = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        raise ValueError("opening a page needs Debian's chromium and the extra dev: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        began = time.perf_counter()
        tab.goto(page.resolve().as_uri(), wait_until="domcontentloaded")
        if not tab.evaluate(_INTERACTIVE):
            raise ValueError(f"a click on the heading `bytes` of {page} did not sort its table")
        seconds_to_open = time.perf_counter() - began
        tab.wait_for_load_state("load")
        seconds_to_see = time.perf_counter() - began
        browser.close()
    return {"seconds_to_open": seconds_to_open, "seconds_to_see": seconds_to_see}


def measure(case: Case, overrides: Sequence[str], out: Path, repeats: int) -> dict[str, Any]:
    """Return what a case takes; the shortest of several times, since other programs can only lengthen them."""
    runs = make_runs(case, overrides, out / "runs")
    page = out / f"report-{case.num_pictures}x{case.num_codecs}.html"
    written = [write_page(runs, page) for _ in range(1 if case.most_seconds is None else repeats)]
    opened = [open_page(page) for _ in range(repeats)]
    found = {key: min(one[key] for one in tries) for tries in (written, opened) for key in tries[0]}
    found["megabytes"] = page.stat().st_size / 1e6
    return {"num_pictures": case.num_pictures, "num_codecs": case.num_codecs} | found


def to_markdown(results: Sequence[dict[str, Any]], cases: Sequence[Case]) -> str:
    """Return a table of what was measured, beside what it may be."""
    rows = [
        [
            f"{one['num_pictures']} x {one['num_codecs']}",
            _beside(one["seconds"], case.most_seconds),
            f"{one['cpu_seconds']:.2f}",
            _beside(one["megabytes"], case.most_megabytes),
            _beside(one["seconds_to_open"], case.most_seconds_to_open),
        ]
        for one, case in zip(results, cases, strict=True)
    ]
    return markdown_table(("pictures x codecs", "to write, s", "of the CPU", "size, MB", "to open, s"), rows)


def _beside(value: float, most: float | None) -> str:
    return f"{value:.2f}" if most is None else f"{value:.2f} (at most {most:g})"


def run(overrides: Sequence[str], out: Path, cases: Sequence[Case] = CASES, repeats: int = 3) -> None:
    """Measure the cases, print the table, and write it and its numbers to a folder."""
    results = []
    for case in cases:
        print(f"{case.num_pictures} pictures, {case.num_codecs} codecs ...", flush=True)
        results.append(measure(case, overrides, out, repeats))
    text = to_markdown(results, cases)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "report.json", json.dumps(results, indent=2).encode())
    write_whole(out / "report.md", f"{text}\n".encode())
    print(f"\n{text}\n\n{out / 'report.md'}")
