"""`python -m experiments.automatic`: automatic mode against the best of a full grid, picture by picture.

The grid is what a person would try: a reversal for each learning rate and number of restarts, its latents rounded with
each step. For each picture it is credited with the best file that is no larger than the size asked for. Its time is
that of all its reversals and roundings.
"""

import logging
from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd

from experiments import composition
from ganrev.errors import plain_errors
from ganrev.metrics import mean_and_interval
from ganrev.recode import recode


def measure_grid(experiment: dict[str, Any], user: Sequence[str]) -> pd.DataFrame:
    """Return one row for each picture and grid point: name, num_bytes, ssim, reversal_seconds, recode_seconds."""
    grid = experiment["grid"]
    frames = []
    reversals = list(product(*([f"{key}={value}" for value in grid[key]] for key in grid if key != "quant.step")))
    for number, settings in enumerate(reversals, start=1):
        print(f"reversal {number} of {len(reversals)}: {' '.join(settings)}", flush=True)
        run = composition.run_one([*experiment["reversal"], *settings], user)
        seconds = run.rows.set_index("name")["encode_seconds"]
        for step in grid["quant.step"]:
            rows = recode(run, [*experiment["rounding"], f"quant.step={step}"])
            point = {"settings": " ".join([*settings, f"quant.step={step}"]), "reversal": number}
            frames.append(rows.assign(reversal_seconds=rows["name"].map(seconds), **point))
    return pd.concat(frames, ignore_index=True)


def compare(grid: pd.DataFrame, automatic: pd.DataFrame, target: int) -> dict[str, tuple[float, float]]:
    """Return means and half widths of 95 % intervals over pictures.

    Args:
        grid: of `measure_grid`.
        automatic: rows of the automatic run.
        target: size in bytes.

    Raises:
        ValueError: a picture has no file of the grid that is small enough.
    """
    small = grid[grid["num_bytes"] <= target]
    missing = sorted(set(automatic["name"]) - set(small["name"]))
    if missing:
        raise ValueError(f"no step of the grid gives {', '.join(missing)} at most {target} bytes; add wider steps")
    best = small.loc[small.groupby("name")["ssim"].idxmax()].set_index("name").loc[automatic["name"]]
    reversals = grid.drop_duplicates(["name", "reversal"]).groupby("name")["reversal_seconds"].sum()
    seconds = (reversals + grid.groupby("name")["recode_seconds"].sum()).loc[automatic["name"]].to_numpy()
    hits = automatic["num_bytes"].between(0.98 * target, target)
    columns = {
        "bytes, grid": best["num_bytes"],
        "bytes, automatic": automatic["num_bytes"],
        "SSIM, grid": best["ssim"],
        "SSIM, automatic": automatic["ssim"],
        "SSIM, automatic - grid": automatic["ssim"].to_numpy() - best["ssim"].to_numpy(),
        "seconds, grid": seconds,
        "seconds, automatic": automatic["encode_seconds"],
        "share of sizes within 2 % from below": hits.astype(float),
    }
    return {key: mean_and_interval(list(values)) for key, values in columns.items()}


def to_markdown(means: dict[str, tuple[float, float]], title: str, num_pictures: int) -> str:
    """Return the table in Markdown."""
    lines = [f"**{title}**, {num_pictures} pictures", "", "| | mean | ± |", "| --- | ---: | ---: |"]
    lines += [f"| {key} | {mean:.4f} | {half:.4f} |" for key, (mean, half) in means.items()]
    share = means["seconds, automatic"][0] / means["seconds, grid"][0]
    return "\n".join(lines) + f"\n\nAutomatic mode takes {share:.3f} of the grid's time.\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the grid and automatic mode, print the comparison and write it; a user's mistake prints one line."""
    parser = composition.make_parser("automatic", __doc__.split(": ", 1)[1], "results/tables")
    name, arguments = composition.read_command_line(parser, argv, "automatic")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with plain_errors():
        experiment = composition.load_experiment(name, "target_bytes", "automatic", "reversal", "rounding", "grid")
        own = [*experiment["automatic"], f"codec.target_bytes={experiment['target_bytes']}"]
        composition.compose_all([own, experiment["reversal"]], arguments.overrides)
        print("automatic mode", flush=True)
        automatic = composition.run_one(own, arguments.overrides).rows
        grid = measure_grid(experiment, arguments.overrides)
        text = to_markdown(
            compare(grid, automatic, experiment["target_bytes"]), experiment.get("title", name), len(automatic)
        )
        arguments.results.mkdir(parents=True, exist_ok=True)
        paths = [arguments.results / f"{experiment['name']}{suffix}" for suffix in (".csv", ".md")]
        grid.to_csv(paths[0], index=False)
        paths[1].write_text(text, encoding="utf-8")
        print("\n" + text + "\n" + "\n".join(map(str, paths)))


if __name__ == "__main__":
    main()
