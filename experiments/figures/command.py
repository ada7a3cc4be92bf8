"""`ganrev figures`: draw what stored runs show, as PNG and PDF."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from experiments import composition
from experiments.drawing.style import origin_of, save
from experiments.figures import pictures, plots
from experiments.figures.pictures import NoPictureError, Request
from experiments.figures.stored import MissingRunError, StoredRuns
from ganrev.wording import counted

_TABLES = Path("results/tables")

# How each kind is drawn, and the keys of its entry beside `file` and `kind`; `table` names what makes its runs.
_KINDS: dict[str, tuple[Callable[[Request, StoredRuns], Figure], set[str]]] = {
    "reversal": (pictures.reversal, {"overrides", "num_steps"}),
    "comparison": (pictures.comparison, {"panels", "table"}),
    "failures": (pictures.failures, {"overrides", "num_pictures"}),
    "curve": (plots.curve, {"points", "measures"}),
    "heat_map": (plots.heat_map, {"sweep", "measure", "x", "y", "x_label", "y_label"}),
    "lines": (plots.lines, {"sweep", "measures", "x", "x_label"}),
    "levels": (plots.levels, {"sweep"}),
    "seeds": (plots.seeds, {"sweep", "measure"}),
}
_OF_ONE_PICTURE = {"reversal", "comparison"}
_OPTIONAL = {"table", "all_restarts", "tables"}


def check_figures(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of the YAML; ValueError where one lacks a key that its kind needs, or has another."""
    if not isinstance(experiment["picture"], int) or experiment["picture"] < 0:
        raise ValueError(f"picture: expected its place among the pictures, from 0, got {experiment['picture']!r}")
    for number, content in enumerate(experiment["figures"]):
        where = f"figures[{number}]"
        if not isinstance(content, dict) or content.get("kind") not in _KINDS:
            raise ValueError(f"{where}: expected a `kind`, one of {', '.join(_KINDS)}, got {content}")
        needed = {"file", "kind"} | _KINDS[content["kind"]][1]
        if not needed <= set(content) <= needed | _OPTIONAL:
            raise ValueError(f"{where}: expected the keys {', '.join(sorted(needed))}, got {content}")
        for own in [content, *content.get("panels", [])]:
            if "overrides" in own or own is not content:
                composition.check_overrides(own.get("overrides"), where)
    return experiment["figures"]


def draw_all(
    experiment: dict[str, Any], stored: StoredRuns, picture: int, folder: Path
) -> tuple[list[Path], list[str]]:
    """Draw every figure whose runs are there, as PNG and PDF.

    Args:
        experiment: the YAML.
        stored: where runs are looked for.
        picture: place of the picture that is shown.
        folder: of the figures.

    Returns:
        The files, and lines on the other figures: the commands that make the runs of which.

    Raises:
        ValueError: not one of the figures that show one picture has it.
    """
    files: list[Path] = []
    missing: dict[str, list[str]] = {}
    without: dict[str, NoPictureError] = {}
    contents = check_figures(experiment)
    for content in contents:
        command = f"ganrev figures {' '.join([experiment['name'], *stored.user])} --picture {picture}"
        request = Request({"tables": _TABLES} | content, picture)
        try:
            figure = _KINDS[content["kind"]][0](request, stored)
        except MissingRunError as error:
            missing.setdefault(error.command, []).append(content["file"])
            continue
        except NoPictureError as error:
            without[content["file"]] = error
            continue
        files += save(figure, folder, content["file"], origin_of(command))
        print(f"{content['file']}: {folder / content['file']}.pdf", flush=True)
    if without and len(without) == sum(content["kind"] in _OF_ONE_PICTURE for content in contents):
        raise next(iter(without.values()))
    left_out = [f"{file} is left out: {error}" for file, error in without.items()]
    return files, left_out + _what_makes(missing, len(contents))


def _what_makes(missing: dict[str, list[str]], num_figures: int) -> list[str]:
    """Return lines on figures whose runs are not there, by the commands that make these."""
    if not missing:
        return []
    num_missing = sum(map(len, missing.values()))
    width = max(len(", ".join(files)) for files in missing.values())
    return [
        f"{num_missing} of {counted(num_figures, 'figure')} left out, since their runs are not there. What makes them:",
        *(f"  {', '.join(files):{width}}  {command}" for command, files in missing.items()),
        "or, but for `ganrev rd`, this command with --make",
    ]


def make_figures(
    name: str, overrides: Sequence[str], results: Path, picture: int | None = None, make: bool = False
) -> None:
    """Draw the figures of a YAML file to the folder `results`.

    Args:
        name: of the file.
        overrides: of the command line.
        results: the folder.
        picture: takes the place of the file's own.
        make: whether to make the runs that are not there.

    Raises:
        ValueError: not one figure can be drawn.
    """
    experiment = composition.load_experiment(name, "picture", "figures")
    stored = StoredRuns(overrides, make)
    chosen = experiment["picture"] if picture is None else picture
    files, left_out = draw_all(experiment, stored, chosen, results)
    print("\n".join(["", *map(str, files), *left_out]))
    if not files:
        raise ValueError("not one figure can be drawn yet: see above for what makes their runs")
