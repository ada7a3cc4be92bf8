"""`ganrev table table1`: measure each row of a YAML list, beside the paper's figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import pandas as pd
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from experiments import composition, rendering
from experiments.origins import describe_origins, origin_columns
from ganrev.data.seen import Seen
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.summary_text import scoring_notes, training_notes
from ganrev.generator import Generator
from ganrev.wording import counted

PAPER_FIGURES = ("bpp", "cr", "psnr", "mse", "ssim")
_METRICS = ("num_bytes", "paper_bytes", "bpp", "paper_bpp", "psnr", "mse", "ssim", "stlpips")
_LATER_METRICS = ("delta_e", "ms_ssim", "ssimulacra2", "identity")  # which old runs lack
_SHARES = ("identity_share", "identity_rank1")
_SECONDS = ("encode_seconds", "decode_seconds")

# What a column that is not always there means.
_EXPLAINED = {
    "stlpips": "ST-LPIPS: the VGG variant; lower is better.",
    "delta_e": "ΔE: mean CIEDE2000 colour difference; lower is better, 1 is just visible.",
    "ms_ssim": "MS-SSIM: over four scales, since five need larger pictures.",
    "ssimulacra2": "SSIMULACRA2: 100 at best, negative for strong distortion.",
    "identity": "Identity: distance of dlib's face descriptors of original and decoded picture; lower is better.",
    "identity_share": "Same person: share of pictures with an identity below 0.6, which dlib takes for one person.",
    "identity_rank1": "Rank 1: share of decoded pictures whose own original is the nearest among the run's.",
}

# Overrides that change no number, which notes need not name.
_WITHOUT_EFFECT = ("out", "force")


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        label: its name.
        overrides: of `configs/config.yaml`.
        paper: the paper's figures for it, by the names in `PAPER_FIGURES`.

    Raises:
        ValueError: overrides that are no list of overrides, or a figure of another name.
    """

    label: str
    overrides: list[str]
    paper: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        composition.check_overrides(self.overrides, f"row {self.label!r}")
        unknown = set(self.paper) - set(PAPER_FIGURES)
        if unknown:
            raise ValueError(
                f"row {self.label!r}: expected the paper's {', '.join(PAPER_FIGURES)}, got {', '.join(sorted(unknown))}"
            )
        for name, figure in self.paper.items():
            if isinstance(figure, bool) or not isinstance(figure, int | float):
                raise ValueError(f"row {self.label!r}: the paper's {name} must be a number, got {figure!r}")


def read_rows(experiment: dict[str, Any]) -> list[Row]:
    """Return the rows of an experiment's YAML; ValueError where one is not label, overrides and perhaps paper."""
    if not isinstance(experiment["rows"], list):
        raise ValueError(f"expected rows as a list of label and overrides, got {experiment['rows']!r}")
    rows = []
    for number, content in enumerate(experiment["rows"], start=1):
        if not isinstance(content, dict) or not {"label", "overrides"} <= set(content) <= {
            "label",
            "overrides",
            "paper",
        }:
            raise ValueError(f"row {number}: expected the keys label, overrides and, optionally, paper, got {content}")
        rows.append(Row(**content))
    labels = [row.label for row in rows]
    if not rows or len(set(labels)) < len(labels):
        raise ValueError(f"a table needs at least one row, and a label of its own for each, got {labels}")
    return rows


def _number(value: float | str | None) -> float:
    """Return a number as the summary's JSON holds it: `inf` is a string, null is undefined."""
    return math.nan if value is None else float(value)


def collect(rows: Sequence[Row], runs: Sequence[RunFolder]) -> pd.DataFrame:
    """Return one line per row: measured means, half widths of their 95 % intervals (`_ci95`), `_in_paper` figures."""
    lines = []
    for row, run in zip(rows, runs, strict=True):
        summary, origin = run.summary, run.provenance
        mean, half = summary["mean"], summary["ci95"]
        metrics = [key for key in (*_METRICS, *_LATER_METRICS) if key in mean]
        line = {"scheme": row.label, "num_images": summary["num_images"], "image_size": summary["image_size"]}
        line |= {key: _number(mean[key]) for key in metrics}
        line |= {key: _number(summary[key]) for key in ("cr", "file_cr")}
        line |= {key: _number(mean[key]) for key in _SECONDS}
        line |= {key: _number(summary[key]) for key in _SHARES if key in summary}
        line |= {f"{key}_ci95": _number(half[key]) for key in metrics}
        line |= {f"{key}_in_paper": row.paper.get(key, math.nan) for key in PAPER_FIGURES}
        line |= {key: len(summary[key]) for key in ("images_failed", "images_skipped")}
        line |= {key: summary[key] for key in ("lanes", "lanes_diverged")}
        line["run"] = run.name
        lines.append(line | origin_columns(origin))
    return pd.DataFrame(lines)


def notes(frame: pd.DataFrame, runs: Sequence[RunFolder], user: Sequence[str]) -> list[str]:
    """Return what must stand under a table: units, sizes, losses, machine and commit."""
    sizes = frame["image_size"].unique()
    size = f" of {sizes[0]} x {sizes[0]} pixels" if len(sizes) == 1 else ""
    lines = [
        f"n pictures{size}; means, ± half the width of the 95 % confidence interval.",
        "Bytes: the whole file. BPP: the paper's count, the bzip2'd file, or for GAN reversal the payload alone.",
        "CR: BPP of the bzip2'd PNG over BPP, a ratio of means.",
    ]
    lines += [text for key, text in _EXPLAINED.items() if key in frame]
    if len(sizes) > 1:
        lines.append("Rows differ in the size of their pictures (px), the generator's where there is one.")
    effective = [override for override in user if override.split("=")[0] not in _WITHOUT_EFFECT]
    if effective:
        lines.append(f"With {' '.join(effective)}.")
    return (
        lines
        + _generators(runs)
        + _lowest_psnr_of_seen(frame, runs)
        + _missing_and_diverged(frame, runs)
        + describe_origins(frame, "scheme")
    )


def _generators(runs: Sequence[RunFolder]) -> list[str]:
    """Name the weights that the rows used, with their caveats."""
    lines = []
    for run in runs:
        config = OmegaConf.select(run.config, "codec.generator")
        if isinstance(config, DictConfig):
            name, caveat = _kind_of_generator(config["_target_"])
            note = f"; {caveat}" if caveat else ""
            lines.append(f"Generator: {name}, weights {run.provenance['weights'][:12]}{note}.")
    return list(dict.fromkeys(lines))


def _kind_of_generator(target: str) -> tuple[str, str]:
    """Return name and caveat of what a config's `_target_` makes: a class, or a function that says what it returns."""
    made = get_object(target)
    kind = made if isinstance(made, type) else get_type_hints(made).get("return", made)
    caveat = kind.caveat if isinstance(kind, type) and issubclass(kind, Generator) else ""
    return kind.__module__.rpartition(".")[2], caveat


def _lowest_psnr_of_seen(frame: pd.DataFrame, runs: Sequence[RunFolder]) -> list[str]:
    """Say how well all but a few seen pictures were redrawn; for each of them an exact latent exists."""
    lines = []
    for scheme, run in zip(frame["scheme"], runs, strict=True):
        source = get_object(run.config.data["_target_"])
        if isinstance(source, type) and issubclass(source, Seen):
            psnr = run.rows["psnr"].quantile(0.05, interpolation="higher")
            lines.append(f"{scheme}: 95 % of its pictures have a PSNR of {psnr:.1f} dB or more.")
    return lines


def _missing_and_diverged(frame: pd.DataFrame, runs: Sequence[RunFolder]) -> list[str]:
    """Name pictures that are missing or were trained on, and lanes that diverged."""
    skipped: dict[str, str] = {}
    lines = []
    for scheme, run in zip(frame["scheme"], runs, strict=True):
        summary = run.summary
        skipped |= summary["images_skipped"]
        lines += [f"{scheme}: {line}." for line in training_notes(summary) + scoring_notes(summary)]
        lines += [f"{scheme}: {line}." for line in _failures(summary["images_failed"], summary["num_images"])]
        if summary["lanes_diverged"]:
            lines.append(f"{scheme}: {summary['lanes_diverged']} of {counted(summary['lanes'], 'lane')} diverged.")
    return [f"Skipped {name}: {reason}." for name, reason in skipped.items()] + lines


def _failures(failed: dict[str, str], num_images: int) -> list[str]:
    """Name pictures that a codec refused; those that have no file of the size asked for together, with their floors."""
    found = composition.floors(failed)
    lines = [f"{name} failed: {why}" for name, why in failed.items() if not composition.floors({name: why})]
    if found:
        total = counted(num_images + len(failed), "picture")
        lines.append(
            f"{len(found)} of {total} have no file so small and are left out of its means; the floor for them "
            f"is {composition.describe_floors(found)}"
        )
    return lines


def leave_out(rows: Sequence[Row], runs: Sequence[RunFolder], left_out: dict[str, str]) -> list[tuple[Row, RunFolder]]:
    """Return the rows that have a run and the size asked for of at least half of its pictures.

    Args:
        rows: of the table.
        runs: of those rows that are not in `left_out`, in their order.
        left_out: why a row has no run, by its label; the reasons of others are added.

    Raises:
        ValueError: no row is left.
    """
    kept = []
    for row, run in zip([row for row in rows if row.label not in left_out], runs, strict=True):
        summary = run.summary
        found = composition.floors(summary["images_failed"])
        if len(found) <= summary["num_images"]:
            kept.append((row, run))
            continue
        total = summary["num_images"] + len(summary["images_failed"])
        left_out[row.label] = (
            f"left out: it has no file so small for {len(found)} of {counted(total, 'picture')}; its floor for them is "
            f"{composition.describe_floors(found)}"
        )
    if not kept:
        raise ValueError("no row is left: " + "; ".join(f"{label}: {why}" for label, why in left_out.items()))
    return kept


def write(frame: pd.DataFrame, title: str, lines: Sequence[str], folder: Path, name: str) -> list[Path]:
    """Write `<name>.csv` (numbers), `.md` and `.tex` (rounded, with title and notes); returns their paths."""
    cells = rendering.cells(frame)
    texts = {
        ".md": rendering.to_markdown(cells, title, lines),
        ".tex": rendering.to_latex(cells, title, lines, name),
    }
    return rendering.write_results(frame, folder, name, texts)


def make_table(name: str, overrides: Sequence[str], results: Path) -> None:
    """Run the missing rows of a table, print it, and write it to the folder `results`."""
    experiment = composition.load_experiment(name, "rows")
    rows = read_rows(experiment)
    left_out: dict[str, str] = {}
    runs = composition.run_all([(row.label, row.overrides) for row in rows], overrides, left_out)
    kept = leave_out(rows, runs, left_out)
    runs = [run for _, run in kept]
    frame = collect([row for row, _ in kept], runs)
    title = experiment.get("title", experiment["name"])
    lines = notes(frame, runs, overrides) + [f"{label}: {why}." for label, why in left_out.items()]
    paths = write(frame, title, lines, results, experiment["name"])
    print("\n" + rendering.to_text(rendering.cells(frame), title, lines))
    print("\n" + "\n".join(map(str, paths)))
