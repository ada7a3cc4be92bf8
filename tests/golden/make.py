"""Make the golden `.gr` files: `python -m tests.golden.make` writes those of the cases below that are not there yet.

Golden files are only ever added to. A file, a table or a vector of symbols that exists is never written again, and a
case that no longer agrees with what was written is an error: another case needs another name.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from ganrev.codecs.gan import GanCodec
from ganrev.coding import backends
from ganrev.coding.quantiser import Quantiser, ScaledQuantiser
from ganrev.generator.base import Generator, Levels
from ganrev.generator.grid import Grid
from ganrev.generator.grid_prior import GridPrior
from tests.tiny import TinyGridGenerator, tiny_codec

FOLDER = Path(__file__).parent
GRID = FOLDER / "grid.safetensors"  # what files with a grid are coded by; other numbers make other files
RECORD = FOLDER / "golden.json"  # tables, vectors of symbols, and which of them each file was made with
SECTIONS = ("tables", "vectors", "files")

Table = dict[str, list[float]] | None  # "deviations" and "steps" of latents; None for a generator never told any

STORED = {"none": backends.Store(), "bz2": backends.Bzip2()}
STREAMS = {"zlib": backends.Zlib(), "lzma": backends.Lzma(), "zstd": backends.Zstd()}
COUNTED = {model: backends.Range(model) for model in ("flat", "adaptive")}
SCALED = {model: backends.Range(model) for model in ("prior", "fitted")}
BACK_ENDS = STORED | STREAMS | COUNTED | SCALED
FITTED = {"fitted": BACK_ENDS["fitted"]}


class TableGenerator(Generator):
    """As many latents as wanted and what is known of them: all that a file needs, but for the picture."""

    image_size = 8
    digest = "676f6c64" * 8

    def __init__(self, num_latents: int, table: Table, levels: Levels = "z") -> None:
        super().__init__()
        self.latent_dim = num_latents
        if levels == "all":
            self.grid, self.thumbnails = read_grid()
            self.latent_dim -= self.grid.num_latents
        if table:
            self.set_latent_statistics(torch.tensor(table["deviations"]), torch.tensor(table["steps"]))

    def thumbnail_map(self, side: int) -> tuple[Tensor, Tensor]:
        return self.thumbnails


def codec_for(
    num_latents: int, table: Table, back_end: backends.Entropy, scaled: bool, levels: Levels = "z"
) -> GanCodec:
    """Return a codec that writes files of one table with one back end, and reads all of that table."""
    quant = ScaledQuantiser(1.0) if scaled else Quantiser(1.0)
    generator = TableGenerator(num_latents, table, levels)
    return tiny_codec(generator=generator, entropy=back_end, quant=quant, latent=levels)


def write_grid() -> None:
    """Write the numbers that the tiny generator's grid is coded by; the file must not exist."""
    generator = TinyGridGenerator()
    assert generator.grid is not None
    weight, bias = generator.thumbnail_map(generator.grid.shape[1])
    tensors = generator.grid.prior.state_dict() | {"unit_step": generator.grid.unit_step, "map": weight, "bias": bias}
    with GRID.open("xb") as file:
        file.write(safetensors.torch.save({name: value.contiguous() for name, value in tensors.items()}))


def read_grid() -> tuple[Grid, tuple[Tensor, Tensor]]:
    """Return the grid of six channels of 4 x 4 latents, and the map from z to thumbnails."""
    tensors = safetensors.torch.load_file(GRID)
    unit_step, *thumbnails = (tensors.pop(name) for name in ("unit_step", "map", "bias"))
    prior = GridPrior(6, 4, hidden=2)
    prior.load_state_dict(tensors)
    weight, bias = thumbnails
    return Grid((6, 4, 4), prior, float(unit_step)), (weight, bias)


def read_record() -> dict[str, dict]:
    """Return the committed tables, vectors and files, in the order in which they were added."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {section: {} for section in SECTIONS}


def write_record(record: dict[str, dict]) -> None:
    """Write the record, one entry a line."""
    sections = [
        f'"{section}": {{\n' + ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in entries.items()) + "\n}"
        for section, entries in record.items()
    ]
    RECORD.write_text("{\n" + ",\n".join(sections) + "\n}\n")


# ---- tables: fractions of powers of two, whose quotients are far from where one scale code ends (but for `edges`)


def spread_table(num_latents: int) -> Table:
    """Return deviations that fall by seven octaves, and steps over five."""
    numbers = range(num_latents)
    return {
        "deviations": [(17 + 2 * (5 * i % 8)) / 16 * 2.0 ** (3 - 8 * i // num_latents) for i in numbers],
        "steps": [(17 + 2 * (3 * i % 8)) / 16 * 2.0 ** (7 * i % 5 - 2) for i in numbers],
    }


def steep_table() -> Table:
    """Return quotients from beyond the narrowest table of frequencies to beyond the widest."""
    return {
        "deviations": [(17 + 2 * (i % 8)) / 16 * 2.0 ** (i - 6) for i in range(16)],
        "steps": [2.0 ** (i % 3 - 1) for i in range(16)],
    }


def edges_table() -> Table:
    """Return deviations, and under a step of `EDGE` steps, at where one scale code ends or a bit before.

    The products of the steps are the format's in float32 alone: exact or in float64 they lie before the end, and
    float32 rounds them to it.
    """
    ends = [np.float32(1 + eighth / 8) for eighth in range(8)]
    deviations = [4 * end for end in ends] + [np.nextafter(4 * end, np.float32(0)) for end in ends]
    return {"deviations": [float(v) for v in deviations], "steps": [rounded_up_to(end) for end in ends for _ in "12"]}


def rounded_up_to(end: np.float32) -> float:
    """Return the float32 whose product with EDGE lies below `end`, and is `end` in float32."""
    near = np.float32(float(end) / EDGE)
    candidates = near, np.nextafter(near, np.float32(0))
    return float(next(c for c in candidates if c * np.float32(EDGE) == end and float(c) * EDGE < float(end)))


FLOAT = float(np.float32(0.1))
BFLOAT, EDGE = 77 / 256, 233 / 512  # of eight significant bits
TABLES = {
    "untold": None,
    "spread": spread_table(512),
    "steep": steep_table(),
    "edges": edges_table(),
    "short": spread_table(16),
}


# ---- symbols


def laplace(table: Table, step: float, seed: int) -> list[int]:
    """Return symbols as wide as a table says."""
    deviations = np.array(table["deviations"]) / (step * np.array(table["steps"]))
    symbols = np.random.default_rng(seed).laplace(scale=deviations / np.sqrt(2))
    return np.rint(symbols).clip(-32767, 32767).astype(int).tolist()


def ternary(seed: int) -> list[int]:
    """Return 512 symbols as of a picture that the generator drew, with steps of 1."""
    return np.rint(np.random.default_rng(seed).uniform(-1, 1, 512)).astype(int).tolist()


def beyond_z(seed: int, spread: float) -> list[int]:
    """Return 16 symbols of z and 96 of a grid, as wide as `spread` where it is widest."""
    fall = np.concatenate((np.linspace(8, 1, 16), np.linspace(1, 0.2, 96)))
    symbols = np.random.default_rng(seed).laplace(scale=spread * fall)
    return np.rint(symbols).clip(-32767, 32767).astype(int).tolist()


def with_outlier(symbols: list[int], place: int, outlier: int) -> list[int]:
    """Return symbols with one changed."""
    return [*symbols[:place], outlier, *symbols[place + 1 :]]


VECTORS = {
    "faces": laplace(TABLES["spread"], BFLOAT, 0),
    "zeros": [0] * 512,
    "runs": [0] * 100 + [-2] * 150 + [7] * 200 + [0] * 61 + [1],
    "ternary": ternary(1),
    "outlier": with_outlier(ternary(2), 300, -1000),
    "extremes": [32767, -32767, 0, 127, -128, 128, -129, 254, -255, 256, 0, 1, -1, 32767, -32767, 32766],
    "steep": laplace(TABLES["steep"], 1.0, 3),
    "edges": laplace(TABLES["edges"], 1.0, 4),
    "floats": [
        *[0.0, -0.0, 0.5, -1.25, FLOAT, -FLOAT, 1.0, 1 + 2.0**-23, 1 - 2.0**-24, -2.0, 15.0, -15.0, 2.0**127],
        *[-(2.0**-126), 2.0**-149, float(np.finfo(np.float32).max)],
    ],
    "grid-faces": beyond_z(5, 0.5),
    "grid-fine": beyond_z(9, 2.0),
    "grid-dense": beyond_z(6, 5.0),
    "grid-extremes": beyond_z(7, 8000.0),
    "grid-last": [*[0] * 111, -1],
    "grid-outlier": with_outlier(beyond_z(8, 0.2), 60, 30000),
}

# What is coded, the generator's table, the back ends, and the steps of the versions.
CASES = [
    ("faces", "spread", BACK_ENDS, {1: 0.25, 2: BFLOAT}),
    ("zeros", "spread", STORED | COUNTED | SCALED, {2: BFLOAT}),
    ("runs", "spread", BACK_ENDS, {2: 2.0}),
    ("ternary", "untold", STORED | COUNTED | SCALED, {1: 1.0}),
    ("outlier", "untold", STORED | COUNTED | SCALED, {1: FLOAT, 2: 1.5}),
    ("extremes", "untold", BACK_ENDS, {1: FLOAT}),
    ("extremes", "steep", SCALED, {2: 1.0}),
    ("steep", "steep", SCALED, {1: 1.5, 2: 1.0}),
    ("edges", "edges", SCALED, {1: 1.0, 2: EDGE}),
    ("floats", "untold", STORED | STREAMS, {1: 0.0}),
    ("grid-faces", "untold", FITTED, {3: BFLOAT}),
    ("grid-fine", "short", FITTED, {3: 2.0**-6}),
    ("grid-dense", "short", FITTED, {3: BFLOAT}),
    ("grid-extremes", "short", FITTED, {3: 1.0}),
    ("grid-last", "short", FITTED, {3: BFLOAT}),
    ("grid-outlier", "untold", FITTED, {3: 1.5}),
]


def main() -> None:
    """Write the files that are not there yet, and the record of all."""
    if not GRID.exists():
        write_grid()
    record, blobs = read_record(), {}
    for section, entries in {"tables": TABLES, "vectors": VECTORS}.items():
        for name, value in entries.items():
            add(record[section], name, value)
    for (vector, table, back_ends, steps), kind, version in product(CASES, BACK_ENDS, (1, 2, 3)):
        name = f"v{version}-{kind}-{vector}.gr"
        if kind not in back_ends or version not in steps:
            continue
        if add(record["files"], name, {"vector": vector, "table": table, "step": steps[version]}):
            symbols = np.array(VECTORS[vector], np.int32 if steps[version] else np.float32)
            levels: Levels = "all" if version == 3 else "z"
            codec = codec_for(len(symbols), TABLES[table], BACK_ENDS[kind], version > 1, levels)
            blobs[name] = codec.coder.write(symbols, steps[version])
    for name, blob in blobs.items():
        with (FOLDER / name).open("xb") as file:  # refuses to overwrite
            print(name, file.write(blob))
    write_record(record)


def add(entries: dict, name: str, value: object) -> bool:
    """Record what is new and tell whether it was; ValueError where it was recorded otherwise before."""
    if name in entries and entries[name] != value:
        raise ValueError(
            f"golden {name} exists and is not what this program would make; give the new case its own name"
        )
    known = name in entries
    entries[name] = value
    return not known


if __name__ == "__main__":
    main()
