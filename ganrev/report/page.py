"""One HTML file of stored runs, which needs nothing but a browser."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from omegaconf import OmegaConf

from ganrev import __version__
from ganrev.evaluation.summary_text import training_notes
from ganrev.files import write_whole
from ganrev.report import paired, scores
from ganrev.report.curves import draw_curves, draw_table
from ganrev.report.gallery import Picture, find_worst, make_pictures
from ganrev.report.matching import Matched, match_sizes
from ganrev.report.pictures import PixelStore, find_originals
from ganrev.report.reported import MEASURES, ReportedRun, read_reported

_HERE = Path(__file__).parent
_SCRIPTS = ("vendor/img-comparison-slider.js", "vendor/tablesort.js", "vendor/tablesort.number.js")


def write_report(
    folders: Sequence[Path],
    output: Path,
    sizes: Sequence[int] = (),
    table: str = "table1",
    curves: Path | None = None,
) -> Path:
    """Write a report of finished runs as one HTML file.

    Args:
        folders: of the runs, which may be on different pictures.
        output: the file, in a folder that is there.
        sizes: in bytes; files of nearly these sizes are paired.
        table: whose rows lend labels and the paper's figures.
        curves: the CSV that `ganrev rd` has left, whose curves are shown, too.

    Raises:
        ValueError: a folder is no finished run, a size is no size, or there is no such table.
    """
    text = render(read_reported(folders, table), sizes, curves)
    write_whole(output, text.encode())
    return output


def render(runs: Sequence[ReportedRun], sizes: Sequence[int] = (), curves: Path | None = None) -> str:
    """Return the report of some runs as HTML; arguments as for `write_report`."""
    sets: dict[str, list[ReportedRun]] = {}
    for run in runs:
        sets.setdefault(run.pictures_digest, []).append(run)
    store = PixelStore()
    pictures: list[Picture] = []
    notes, matches, results = _run_notes(runs), [], []
    for number, own in enumerate(sets.values()):
        originals, note = find_originals(own)
        matched = [match_sizes(own, size) for size in sizes]
        suffix = _suffix(number, own, pictures)
        pictures += make_pictures(own, originals, matched, store, suffix)
        notes += [note] if note else []
        matches += matched
        found, left_out = _compare(own)
        results += [(result, suffix) for result in found]
        notes += left_out
    if len(sets) > 1:
        notes.append(f"The runs are on {len(sets)} sets of pictures; only runs on the same pictures are compared.")
    content = _tables(runs, matches, results) | {"notes": notes, "pictures": pictures}
    content |= {"worst": find_worst(runs, pictures), "svgs": [Markup(svg) for svg in draw_curves(runs)]}
    whole_curves = [Markup(svg) for svg in draw_table(curves)] if curves else []
    content |= {"rd_name": curves.name if curves else "", "rd_svgs": whole_curves}
    return _template().render(content | _assets() | {"store": store.encoded, "version": __version__})


def _suffix(number: int, own: Sequence[ReportedRun], pictures: Sequence[Picture]) -> str:
    """Return what tells these pictures from others of the same name; nothing where there are none."""
    taken = {picture.anchor for picture in pictures}
    clash = any(name in taken for run in own for name in run.rows.index)
    return f"@{own[0].pictures_digest[:6]}" if number and clash else ""


def _run_notes(runs: Sequence[ReportedRun]) -> list[str]:
    """Return what must be known about runs: pictures trained on, and pictures that failed."""
    lines = []
    for run in runs:
        lines += [f"{run.label}: {line}." for line in training_notes(run.summary)]
        lines += [f"{run.label}: {name} failed: {reason}." for name, reason in run.summary["images_failed"].items()]
    return lines


def _compare(runs: Sequence[ReportedRun]) -> tuple[list[paired.PairedResult], list[str]]:
    """Compare the runs that have all pictures of the first, and name the others."""
    differences = {run.label: paired.picture_difference(runs[0], run) for run in runs[1:]}
    same = [runs[0], *(run for run in runs[1:] if not differences[run.label])]
    notes = [f"{label} is not compared with {runs[0].label}: {text}." for label, text in differences.items() if text]
    return (paired.compare_runs(same) if len(same) > 1 else []), notes


def _tables(
    runs: Sequence[ReportedRun], matches: Sequence[Matched], results: Sequence[tuple[paired.PairedResult, str]]
) -> dict[str, Any]:
    """Return what the template's tables show; with each result comes the suffix of its pictures' anchors."""
    columns = scores.shown_columns(runs)
    return {
        "runs": runs,
        "measures": MEASURES,
        "columns": columns,
        "lines": [(run, scores.cells(run, columns)) for run in runs],
        "matches": matches,
        "results": results,
        "explanation": paired.explanation([result for result, _ in results]) if results else [],
        "paired": paired,
        "scores": scores,
        "has_celeba": any(run.has_celeba for run in runs),
        "records": [(run, OmegaConf.to_yaml(run.folder.config), _to_json(run.provenance)) for run in runs],
    }


def _to_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2)


def _assets() -> dict[str, Any]:
    """Return styles and scripts; a comment that names a source map is left out, which would be another file."""
    scripts = [*_SCRIPTS, "templates/report.js"]
    texts = ["\n".join(_own_lines(name)) for name in scripts]
    styles = ["vendor/img-comparison-slider.css", "templates/report.css"]
    return {
        "styles": Markup("\n".join("\n".join(_own_lines(name)) for name in styles)),
        "scripts": [Markup(text) for text in texts],
        "licences": "\n".join(_own_lines("vendor/LICENSES.txt")),
    }


def _own_lines(name: str) -> list[str]:
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("//# sourceMappingURL=")]


def _template() -> Any:
    loader = FileSystemLoader(_HERE / "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html")
