"""The written schema of what a run leaves: the columns of its rows and the keys of its summary and provenance.

Runs of version 1 have no `schema` and no `suffix`; the oldest of them have no counts of pictures trained on, either.
`python -m ganrev.evaluation.record > docs/record.md` writes the page about it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ganrev.markdown import markdown_table

SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Field:
    """One column or key of the record.

    Attributes:
        name: of the column or key; `a.b` is the key b of the dict a, and `<...>` stands for any name.
        kind: its type: `str`, `int`, `float`, `bool`, `dict` or `list`.
        unit: of a number; empty where it has none.
        meaning: in words.
        optional: why it may be absent or empty; empty where it is always there.
    """

    name: str
    kind: str
    unit: str
    meaning: str
    optional: str = ""


_LIMIT = "empty beyond `score_limit` pictures"
_EXTRA = f"absent without the extra `perceptual`, and for pictures of less than 18 pixels a side; {_LIMIT}"
_LATER = "absent in old runs"
_IDENTITY = f"{_LIMIT}; absent without the extra `identity` and its weights, and in old runs"
_CHOOSES = "only of codecs that choose settings for each picture"
_UNKNOWN = "empty where it is unknown"

ROWS = (
    Field("name", "str", "", "the picture's name, unique, without suffix"),
    Field("celeba_id", "int", "", "CelebA's number of the picture", _UNKNOWN),
    Field("num_bytes", "int", "bytes", "the whole file"),
    Field("paper_bytes", "int", "bytes", "the paper's count: the bzip2'd file, or for GAN reversal the payload alone"),
    Field("bpp", "float", "bits per pixel", "8 * num_bytes / pixels"),
    Field("paper_bpp", "float", "bits per pixel", "8 * paper_bytes / pixels"),
    Field("psnr", "float", "dB", "peak signal-to-noise ratio; inf where the pictures are equal"),
    Field("mse", "float", "squared levels, 0-255", "mean squared error"),
    Field("ssim", "float", "", "structural similarity, Gaussian window of 11 x 11, mean over RGB"),
    Field("encode_seconds", "float", "seconds", "to encode: the batch's time shared equally"),
    Field("decode_seconds", "float", "seconds", "to decode: the batch's time shared equally"),
    Field("png_paper_bytes", "int", "bytes", "the bzip2'd PNG of the original: the numerator of the compression ratio"),
    Field("stlpips", "float", "", "ST-LPIPS (VGG); lower is better", _EXTRA),
    Field("delta_e", "float", "", "mean CIEDE2000 colour difference; lower is better, 1 is just visible", _LATER),
    Field("ms_ssim", "float", "", "multi-scale SSIM over four scales", "absent below 88 pixels, and in old runs"),
    Field("ssimulacra2", "float", "", "SSIMULACRA2; 100 at best", f"absent without the extra `opponents`; {_LIMIT}"),
    Field("identity", "float", "", "distance of face descriptors; below 0.6: the same person to dlib", _IDENTITY),
    Field("identity_rank", "int", "", "of the own original among the run's, by that distance", f"{_IDENTITY}, merged"),
    Field("chosen_levels", "str", "", "`z`, or `all` where the file holds a grid, too", _CHOOSES),
    Field("chosen_loss", "str", "", "name of the loss that was descended; of release 0.1.0", _CHOOSES),
    Field("chosen_lr", "float", "", "learning rate; of release 0.1.0", _CHOOSES),
    Field("chosen_restart", "int", "", "number of the start, from 0; of release 0.1.0", _CHOOSES),
    Field("chosen_lmbda", "float", "loss per byte", "the loss that one byte was allowed to cost", _CHOOSES),
    Field("chosen_step", "float", "", "what multiplies each latent's own step size", _CHOOSES),
    Field("chosen_hit", "bool", "", "whether the target was reached", _CHOOSES),
    Field("chosen_<other>", "str", "", "whatever else the codec chose", _CHOOSES),
)

SUMMARY = (
    Field("schema", "int", "", "version of this schema; absent is 1", "absent in version 1"),
    Field("suffix", "str", "", "of the run's files, with its dot", "absent in version 1"),
    Field("num_images", "int", "pictures", "that have a row"),
    Field("targets_missed", "int", "pictures", "whose target of size or quality was missed", "absent in old runs"),
    Field("mean.<column>", "float", "the column's", "mean over pictures; the string `inf` where one is infinite"),
    Field("ci95.<column>", "float", "the column's", "half the width of the mean's 95 % interval; null if undefined"),
    Field("cr", "float", "", "compression ratio: mean png_paper_bytes over mean paper_bytes"),
    Field("file_cr", "float", "", "the same over mean num_bytes"),
    Field("identity_share", "float", "", "share of pictures whose identity is below 0.6", _IDENTITY),
    Field("identity_rank1", "float", "", "share of pictures whose identity_rank is 1", f"{_IDENTITY}, merged"),
    Field("image_size", "int", "pixels", "side of the pictures"),
    Field("images_failed.<name>", "str", "", "why the codec refused a picture"),
    Field("images_skipped.<file>", "str", "", "why a file of the data source was left out"),
    Field("images_seen_in_training", "int", "pictures", "that the codec was trained on", "absent in old runs"),
    Field("images_alike_in_training", "int", "pictures", "that look like a face trained on", "absent in old runs"),
    Field("images_unchecked_in_training", "int", "pictures", "of which it is unknown", "absent in old runs"),
    Field("lanes", "int", "", "pictures times restarts"),
    Field("lanes_diverged", "int", "", "descents whose loss was not finite at the end, or above that of the start"),
)

PROVENANCE = (
    Field("commit", "str", "", "of the code", "null outside a checkout"),
    Field("dirty", "bool", "", "whether the checkout had uncommitted changes", "null outside a checkout"),
    Field("time", "str", "", "when the run began, ISO 8601, UTC"),
    Field("python", "str", "", "version of Python"),
    Field("versions.<library>", "str", "", "version of a library", "null where it is not installed"),
    Field("hardware.cpu", "str", "", "model of the processor"),
    Field("hardware.cores", "int", "", "logical cores"),
    Field("hardware.threads", "int", "", "threads that torch may use"),
    Field("hardware.load", "float", "", "average load of the last minute; above the cores, times say little"),
    Field("hardware.gpu", "str", "", "model of the GPU", "null where there is none"),
    Field("hardware.platform", "str", "", "system, kernel, C library"),
    Field("algorithm_version", "int", "", "raised when the same config would give other bytes or scores"),
    Field("weights", "str", "", "SHA-256 of what the decoder has learned", "null for a codec that learned nothing"),
    Field("data", "str", "", "SHA-256 of names and pixels of all pictures"),
    Field("seed", "int", "", "of the run"),
    Field("others", "list", "", "provenance of other processes that took part", "absent where there was one"),
)

COLUMNS = tuple(field.name for field in ROWS if field.optional in ("", _UNKNOWN))
MEANS = tuple(field.name for field in ROWS if field.kind in ("int", "float") and not field.optional)
TEXT_COLUMNS = tuple(field.name for field in ROWS if field.kind == "str")


def undescribed(names: list[str], fields: tuple[Field, ...]) -> list[str]:
    """Return the names, dotted where they are nested, that no field describes."""
    exact = {field.name for field in fields if "<" not in field.name}
    stems = tuple(field.name.split("<")[0] for field in fields if "<" in field.name)
    return [name for name in names if name not in exact and not name.startswith(stems)]


def missing(names: list[str], fields: tuple[Field, ...]) -> list[str]:
    """Return the fields that must be there and are not among the names; those with `<...>` may have no name."""
    return [f.name for f in fields if f.optional in ("", _UNKNOWN) and "<" not in f.name and f.name not in names]


def fault_in_object(content: Mapping[str, Any], fields: tuple[Field, ...]) -> str:
    """Return what of an object of JSON is missing or of another type than its fields say; empty where all is well."""
    for field in fields:
        parent, _, key = field.name.rpartition(".")
        inside = content.get(parent, {}) if parent else content
        if not isinstance(inside, Mapping):
            return f"{parent} is {inside!r:.40}, no object"
        if parent and parent not in content and not field.optional:
            return f"{parent} is missing"
        if not key.startswith("<") and key not in inside and field.optional in ("", _UNKNOWN):
            return f"{field.name} is missing"
        for name in [name for name in inside if key.startswith("<") or name == key]:
            if not _fits(inside[name], field):
                return f"{parent}{'.' * bool(parent)}{name} is {inside[name]!r:.40}, no {field.kind}"
    return ""


def _fits(value: object, field: Field) -> bool:
    if value is None:
        return field.kind == "float" or bool(field.optional)  # null is an undefined number
    if field.kind == "float" and value in ("inf", "-inf"):
        return True
    expected = {"str": str, "int": int, "float": int | float, "bool": bool, "dict": dict, "list": list}[field.kind]
    return isinstance(value, expected) and isinstance(value, bool) == (field.kind == "bool")


def fault_in_rows(rows: pd.DataFrame) -> str:
    """Return what of a table of rows is missing or of another type than `ROWS` says; empty where all is well."""
    if absent := missing(list(rows.columns), ROWS):
        return f"it has no column {absent[0]}"
    names = rows["name"]
    if not (names.is_unique and all(name and Path(name).name == name for name in names)):
        return "the names of its pictures are not all different, or no names of files"
    for field in (field for field in ROWS if field.kind in ("int", "float") and field.name in rows):
        column = rows[field.name]
        is_whole = field.kind != "int" or bool(field.optional) or column.notna().all()
        if len(rows) and not (column.dtype.kind in "iuf" and is_whole):
            return f"{field.name} has other values than numbers"
    return ""


def fault_in_summary(summary: Mapping[str, Any], rows: pd.DataFrame) -> str:
    """Return what of a summary is missing, or is not what `SUMMARY` and the rows say; empty where all is well."""
    if fault := fault_in_object(summary, SUMMARY):
        return fault
    if summary["num_images"] != len(rows):
        return f"it speaks of other than {len(rows)} rows"
    for key in MEANS:
        if key not in summary["mean"]:
            return f"it has no mean of {key}"
        stored, mean = summary["mean"][key], float(rows[key].dropna().astype(float).mean())
        if stored is not None and not math.isnan(mean) and not math.isclose(float(stored), mean, rel_tol=1e-6):
            return f"its mean of {key} is {stored}, that of the rows {mean:.6g}"
    return ""


def fault_in_config(config: Mapping[str, Any]) -> str:
    """Return which part of a stored config is missing; empty where none is."""
    for key in ("codec", "data"):
        part = config.get(key)
        if not isinstance(part, dict) or not isinstance(part.get("_target_"), str):
            return f"it names no {key}"
    return ""


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows of pictures from a CSV; a picture may be called `NA`, `null` or `007`.

    Raises:
        ValueError: the file is empty or no such table.
    """
    try:
        columns = pd.read_csv(path, nrows=0).columns
        text = [column for column in columns if column in TEXT_COLUMNS]
        numbers = {column: [""] for column in columns if column not in text}
        types = dict.fromkeys(text, str) | ({"celeba_id": "Int64"} if "celeba_id" in numbers else {})
        return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=numbers)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is empty or damaged ({error}); repeat the run with force=true") from error


def to_page() -> str:
    """Return the schema as a page of documentation, `docs/record.md`."""
    introduction = (
        f"Version {SCHEMA_VERSION} of the schema in `ganrev/evaluation/record.py`, which writes this page:\n"
        "`python -m ganrev.evaluation.record > docs/record.md`. The folder's other files are listed in\n"
        "`ganrev/evaluation/run_folder.py`. In JSON an infinite number is the string `inf`, an undefined one is null.\n"
        "`a.b` is the key b of the object a, and `<...>` stands for any name."
    )
    parts = [
        "# What a run leaves: the record",
        introduction,
        _section("rows.csv", "One row for each picture that has a file.", "column", ROWS),
        _section("summary.json", "Means, intervals and counts over the pictures of a run.", "key", SUMMARY),
        _section("provenance.json", "The origin of a run: code, versions, hardware, data.", "key", PROVENANCE),
    ]
    return "\n\n".join(parts) + "\n"


def _section(file: str, text: str, names: str, fields: Sequence[Field]) -> str:
    rows = [(f"`{field.name}`", field.kind, field.unit, _sentence(field)) for field in fields]
    table = markdown_table((names, "type", "unit", "meaning"), rows, numbers=False)
    return f"## `{file}`\n\n{text}\n\n{table}"


def _sentence(field: Field) -> str:
    return f"{field.meaning} ({field.optional})" if field.optional else field.meaning


if __name__ == "__main__":
    print(to_page(), end="")
