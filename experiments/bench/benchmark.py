"""`ganrev bench`: speed and memory of reversal, measured in turn with a plain loop.

The plain loop does what public re-implementations do: one image at a time, float32, Adam at a constant rate, weight
gradients left on. Generator, loss and pictures are the same for both; lane-steps are compared with lane-steps, and the
race is to the SSIM that the plain loop has after 300 steps. What latents beyond z and automatic mode cost comes last.
"""

import copy
import logging
import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from hydra.utils import instantiate
from torch import Tensor

from experiments.bench import measures, points
from experiments.bench.drawing import draw_bench
from experiments.bench.levels import levels
from experiments.bench.load import load
from experiments.bench.plain import plain_generator
from experiments.bench.race import curves, race, tile
from experiments.composition import compose_config
from ganrev.codecs.gan import GanCodec
from ganrev.configuration.overrides import compose_for_codec
from ganrev.data.celeba import CelebaSample
from ganrev.data.folder import Folder
from ganrev.data.seen import Seen
from ganrev.evaluation.provenance import provenance
from ganrev.fetch import FetchError
from ganrev.files import to_json
from ganrev.generator.base import Generator
from ganrev.pixels import resize

_log = logging.getLogger(__name__)


def make_codec(overrides: Sequence[str]) -> GanCodec:
    """Return the codec to measure; ValueError for one that does not reverse a generator."""
    codec = instantiate(compose_for_codec(overrides).codec)
    if not isinstance(codec, GanCodec):
        raise ValueError(f"the benchmark measures codec=gan, got {type(codec).__name__}: leave codec= out")
    return codec


def with_linear_start(codec: GanCodec, plan: points.Plan) -> dict[str, GanCodec]:
    """Return the codec as `reversal=fast` makes it, and with more steps; none if its generator has no linear map."""
    if type(codec.generator).invert_linear_map is Generator.invert_linear_map:
        return {}
    found = {}
    longer = f"fast, {plan.num_more_steps} steps", [f"reversal.steps={plan.num_more_steps}"]
    for name, overrides in (("fast", []), longer):
        found[name] = copy.copy(codec)
        found[name].reversal = instantiate(compose_config(["reversal=fast", *overrides]).reversal)
    return found


def load_faces(folder: Path | None, codec: GanCodec, limit: int) -> tuple[Tensor, str]:
    """Return uint8 [N, 3, S, S] and where they come from: a folder, the CelebA sample, or else the generator."""
    if folder is not None:
        return resize(Folder(folder, limit=limit).load().images, codec.image_size), "folder"
    try:
        return resize(CelebaSample(limit=limit).load().images, codec.image_size), "celeba_sample"
    except FetchError as error:
        _log.warning("%s\nThe generator draws the pictures.", error)
        return Seen(codec.generator, limit=limit).load().images, "seen"


def measure(codec: GanCodec, images: Tensor, plan: points.Plan) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Measure all points but memory and load, which need processes of their own.

    Returns:
        The rows of `points.COLUMNS`, the curves of SSIM over seconds, and the operators ranked by their time.
    """
    networks = {"plain": plain_generator(codec.generator), "plain, frozen": plain_generator(codec.generator, True)}
    rows = points.speed(codec, networks, images, plan)
    num_steps, batch = measures.WARM_UP, tile(images, codec.device.lanes)
    operators = measures.rank_operators(
        codec.device.torch_device,
        partial(measures.descend, codec, batch, num_steps, [num_steps]),
        num_steps * len(batch),
    )
    racers = {"ganrev": codec} | with_linear_start(codec, plan)
    found = race(racers, networks["plain"], images, plan.num_long_rounds, plan.num_plain_steps)
    rows += points.to_plain_ssim(found)
    rows += points.decoding(codec, images, plan)
    rows += points.growth(codec, networks["plain"], images, plan)
    return pd.DataFrame(rows, columns=list(points.COLUMNS)), curves(found), operators


def describe(frame: pd.DataFrame) -> str:
    """Return the ratios and shares as a short table, a line each."""
    told = frame["measure"].isin(["decode", "seconds_to_encode"])
    shown = frame[frame["unit"].isin(["times", "share", "SSIM"]) | told]
    lines = []
    for row in shown.itertuples():
        lanes = "" if pd.isna(row.lanes) else f", {row.lanes:.0f} at a time"
        reach = f"  ({row.lowest:.3g} to {row.highest:.3g})" if row.repetitions > 1 else ""
        never = row.median == 0 and row.unit == "times"
        value = "   never" if never else f"{row.median:8.3g} {row.unit}{reach}"
        lines.append(f"({row.point}) {row.measure:<33}{row.variant + lanes:<53}{value}")
    return "\n".join(lines)


def _settings(codec: GanCodec, images: Tensor, source: str) -> dict:
    reversal = codec.reversal
    return {
        "pictures": {"source": source, "number": len(images), "size": images.shape[-1]},
        "weights": codec.generator.digest,
        "loss": type(codec.loss).__name__,
        "reversal": {"lr": reversal.lr, "steps": reversal.steps, "schedule": reversal.schedule},
        "device": {
            "name": str(codec.device.torch_device),
            "dtype": codec.device.precision,
            "lanes": codec.device.lanes,
        },
        "tf32": {"matmul": torch.backends.cuda.matmul.allow_tf32, "cudnn": torch.backends.cudnn.allow_tf32},
        # glibc's settings change both speed and memory; the Makefile makes them.
        "environment": {
            key: os.environ[key] for key in sorted(os.environ) if key.startswith(("GOMP_", "MALLOC_", "OMP_"))
        },
    }


def run(plan: points.Plan, overrides: Sequence[str], faces: Path | None, out: Path) -> None:
    """Measure everything, print the ratios, and write CSVs, a figure and their origin."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)  # before minutes of work, rather than after
    overrides = [*plan.overrides, *overrides]
    origin = provenance()  # the load before, not that of the benchmark itself
    codec = make_codec(overrides)
    images, source = load_faces(faces, codec, plan.num_images)
    apart = points.memory(plan, overrides) + load(plan.jobs, plan.num_load_steps, plan.num_long_rounds, overrides)
    frame, ssim, operators = measure(codec, images, plan)
    apart += levels(codec, overrides, images, plan)
    frame = pd.concat([frame, pd.DataFrame(apart)], ignore_index=True).sort_values("point", kind="stable")
    frame.to_csv(out / "bench.csv", index=False)
    ssim.to_csv(out / "ssim.csv", index=False)
    operators.to_csv(out / "operators.csv", index=False)
    draw_bench(frame, ssim, operators, out / "bench.png")
    origin |= {"settings": _settings(codec, images, source), "seconds": time.perf_counter() - began}
    (out / "provenance.json").write_text(to_json(origin))
    print(f"{describe(frame)}\n\n{out}: bench.csv, ssim.csv, operators.csv, bench.png, provenance.json")
