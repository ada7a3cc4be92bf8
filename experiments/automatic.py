"""`ganrev automatic`: automatic mode against the best of a full grid, picture by picture.

The grid is what a person would try: a reversal for each learning rate and number of restarts, its latents rounded with
each step size. Of each picture the best file counts that is no larger than the size asked for. The grid's time is that
of all its reversals and roundings.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import composition, rendering
from ganrev.evaluation.metrics import mean_and_interval
from ganrev.evaluation.recode import recode
from ganrev.markdown import markdown_table
from ganrev.wording import counted


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
    table = markdown_table(("", "mean", "±"), ((key, f"{m:.4f}", f"{half:.4f}") for key, (m, half) in means.items()))
    share = means["seconds, automatic"][0] / means["seconds, grid"][0]
    head = f"**{title}**, {counted(num_pictures, 'picture')}"
    return f"{head}\n\n{table}\n\nAutomatic mode takes {share:.3f} of the grid's time.\n"


def make_comparison(name: str, overrides: Sequence[str], results: Path) -> None:
    """Run the grid and automatic mode of a YAML file, print the comparison and write it to the folder `results`."""
    experiment = composition.load_experiment(name, "target_bytes", "automatic", "reversal", "rounding", "grid")
    own = [*experiment["automatic"], f"codec.target_bytes={experiment['target_bytes']}"]
    composition.compose_all([own, experiment["reversal"]], overrides)
    print("automatic mode", flush=True)
    automatic = composition.run_one(own, overrides).rows
    grid = measure_grid(experiment, overrides)
    means = compare(grid, automatic, experiment["target_bytes"])
    text = to_markdown(means, experiment.get("title", name), len(automatic))
    paths = rendering.write_results(grid, results, experiment["name"], {".md": text})
    print("\n" + text + "\n" + "\n".join(map(str, paths)))
