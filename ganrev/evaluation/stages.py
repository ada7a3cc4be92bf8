"""The stages of a run: encode, decode in a process without access to the pictures, score.

Each stage writes files to the run's folder, and reads only those of the stages before it.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ganrev.codecs.base import BelowFloorError, DescribedCodec, EncodeReport
from ganrev.configuration.options import Count, checked_options
from ganrev.data.pictures import Pictures
from ganrev.evaluation import metrics
from ganrev.evaluation.archives import join_traces
from ganrev.evaluation.child import ask_module
from ganrev.evaluation.costly import costly_scores
from ganrev.evaluation.identity import summarise_identities
from ganrev.evaluation.integrity import sha256
from ganrev.evaluation.record import COLUMNS
from ganrev.evaluation.run_folder import RunFolder
from ganrev.progress import ProgressBar

_logger = logging.getLogger(__name__)

_CHOSEN = "chosen_"  # begins the columns of what the codec chose


@dataclass(frozen=True)
class Encoded:
    """Results of encoding, apart from the files.

    Attributes:
        batches: names of the pictures that have a file, batch by batch.
        seconds: encode time by name, the batch's time shared equally.
        failed: reason by name, for pictures that the codec refused.
        choices: what the codec chose for each picture, by name; empty for a codec that chooses nothing.
        traced: names of the pictures of each batch whose trace the run's journal has.
        num_lanes: descents in all.
        num_diverged: of these, how many diverged.
    """

    batches: list[list[str]]
    seconds: dict[str, float]
    failed: dict[str, str]
    choices: dict[str, dict]
    traced: list[list[str]]
    num_lanes: int
    num_diverged: int


@checked_options("")
def check_batch_size(batch_size: Count) -> int:
    """Return the option as an int; ValueError unless it is a whole number of at least 1."""
    return batch_size


def encode_all(codec: DescribedCodec, pictures: Pictures, run: RunFolder, batch_size: int) -> Encoded:
    """Write the file of each picture; a batch that fails is tried one by one.

    Batches that the run's journal holds are taken from there.
    """
    batch_size = check_batch_size(batch_size)
    journal = run.journal("encode")
    results, traced, num_lanes, num_diverged = [], [], 0, 0
    bar = ProgressBar(total=len(pictures.names), desc="encoding", unit="picture", leave=False)
    for begin in range(0, len(pictures.names), batch_size):
        batch = slice(begin, begin + batch_size)
        names = pictures.names[batch]
        # Take the batch from the journal, or encode it.
        found = journal.find(names)
        if found is None or not _are_there(run, found[0]):
            found = _encode_batch(codec, names, pictures.images[batch], run)
            journal.keep(names, *found)  # after the files, so that an entry means that they exist
        results.append(found[0])
        if found[1]:  # long; it stays in the journal until the run is finished
            traced.append(names)
            diverged = found[1].get("diverged", np.zeros(0, bool))
            num_lanes, num_diverged = num_lanes + diverged.size, num_diverged + int(diverged.sum())
        bar.update(len(names))
    bar.close()
    # Put the batches together.
    seconds, failed, choices = (
        {name: value for result in results for name, value in result[key].items()}
        for key in ("seconds", "failed", "choices")
    )
    batches = [list(result["seconds"]) for result in results if result["seconds"]]
    return Encoded(batches, seconds, failed, choices, traced, num_lanes, num_diverged)


def _are_there(run: RunFolder, result: dict[str, dict]) -> bool:
    """Return whether the files of a batch that a journal remembers are those that were written."""
    digests = result.get("digests", {})  # absent in journals of older versions
    damaged = [name for name, digest in digests.items() if not run.has_blob(name, digest)]
    for name in damaged:
        _logger.warning("the file of %s in %s is damaged: its batch is encoded again", name, run)
    return not damaged


def _encode_batch(
    codec: DescribedCodec, names: list[str], images: Tensor, run: RunFolder
) -> tuple[dict[str, dict], dict[str, np.ndarray]]:
    """Write a batch's files; returns `seconds`, `failed` and `choices` as in `Encoded`, and the trace.

    `digests` beside them are those of the files.
    """
    digests: dict[str, str] = {}
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    choices: dict[str, dict] = {}
    traces = []
    for group, report, elapsed in _encode(codec, names, images, failed):
        for name, blob in zip(group, report.blobs, strict=True):
            run.write_blob(name, blob)
            digests[name] = sha256(blob)
            seconds[name] = elapsed / len(group)
        if report.choices:
            choices |= {name: dict(choice) for name, choice in zip(group, report.choices, strict=True)}
        traces += [report.trace] if report.trace else []
    return {"seconds": seconds, "failed": failed, "choices": choices, "digests": digests}, join_traces(traces)


def _encode(
    codec: DescribedCodec, names: list[str], images: Tensor, failed: dict[str, str]
) -> Iterator[tuple[list[str], EncodeReport, float]]:
    """Yield (names, report, seconds): the batch at once, or picture by picture where one of them is refused."""
    began = time.perf_counter()
    try:
        report = codec.encode_with_report(images)
        yield names, report, time.perf_counter() - began if report.seconds is None else report.seconds
    except ValueError as error:
        if len(names) == 1:
            failed[names[0]] = str(error)
            # Of a table at equal sizes there are hundreds; its notes and a run's summary name them.
            level = logging.INFO if isinstance(error, BelowFloorError) else logging.WARNING
            _logger.log(level, "%s could not be encoded: %s", names[0], error)
            return
        for name, image in zip(names, images, strict=True):
            yield from _encode(codec, [name], image[None], failed)


def decode_all(run: RunFolder, batches: list[list[str]] | None = None) -> dict[str, float]:
    """Decode a run's files in a separate process; returns decode seconds by name.

    Args:
        run: that process reads its config and files.
        batches: names of the files of each batch; None for all files, in the order of their names.

    Raises:
        RuntimeError: that process failed; its message is passed on.
    """
    arguments = (str(run), str(os.getpid()))
    return ask_module(f"decoding {run}", "ganrev.evaluation.decoding", *arguments, standard_input=json.dumps(batches))


def score(
    codec: DescribedCodec,
    pictures: Pictures,
    run: RunFolder,
    encoded: Encoded,
    decode: dict[str, float],
    score_limit: int | None = None,
) -> pd.DataFrame:
    """Return one row for each picture that has a file, by the columns of `ganrev.evaluation.record.ROWS`.

    Args:
        codec: for the paper's count of bytes.
        pictures: the originals.
        run: its files and decoded pictures are scored.
        encoded: results of encoding.
        decode: decode seconds by name.
        score_limit: pictures that the costly scores are measured of; None for all.
    """
    journal = run.journal("score")
    position = {name: i for i, name in enumerate(pictures.names)}
    rows = []
    for names in ProgressBar(encoded.batches, desc="scoring", unit="batch", leave=False):
        found = journal.find(names)
        if found is None:
            images = pictures.images[[position[name] for name in names]]
            scores = _score_batch(codec, names, images, run)
            num = sum(score_limit is None or position[name] < score_limit for name in names)
            found = ({"scores": _with_costly(scores, names[:num], images[:num], run, pictures.images)}, {})
            journal.keep(names, *found)
        for name, scores in zip(names, found[0]["scores"], strict=True):
            seconds = {"encode_seconds": encoded.seconds[name], "decode_seconds": decode[name]}
            chosen = {f"{_CHOSEN}{key}": value for key, value in encoded.choices.get(name, {}).items()}
            rows.append({"name": name, "celeba_id": pictures.celeba_ids[position[name]]} | scores | seconds | chosen)
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    others = [key for key in max(rows, key=len) if key not in COLUMNS]
    return pd.DataFrame(rows, columns=[*COLUMNS, *others]).astype({"celeba_id": "Int64"})


def _score_batch(codec: DescribedCodec, names: list[str], images: Tensor, run: RunFolder) -> list[dict[str, float]]:
    """Return the quick scores of each picture of a batch, uint8 [N, 3, H, W], by their columns."""
    decoded = torch.stack([run.decoded(name) for name in names])
    height, width = images.shape[-2:]
    scores = []
    for name, image, drawn in zip(names, images, decoded, strict=True):
        blob = run.blob(name)
        paper = codec.bytes_for_paper(blob)
        rate = {
            "num_bytes": len(blob),
            "paper_bytes": paper,
            "bpp": metrics.bits_per_pixel(len(blob), height, width),
            "paper_bpp": metrics.bits_per_pixel(paper, height, width),
        }
        scores.append(rate | metrics.distortion(image, drawn) | {"png_paper_bytes": metrics.png_paper_bytes(image)})
    return [one | other for one, other in zip(scores, metrics.other_measures(images, decoded), strict=True)]


def _with_costly(
    scores: list[dict[str, float]], names: list[str], images: Tensor, run: RunFolder, originals: Tensor
) -> list[dict[str, float]]:
    """Add the costly scores of the first pictures of a batch, uint8 [K, 3, H, W], to those of the batch."""
    if not names:
        return scores
    found = costly_scores(images, torch.stack([run.decoded(name) for name in names]), originals)
    return [one | other for one, other in zip(scores[: len(found)], found, strict=True)] + scores[len(found) :]


def summarise(rows: pd.DataFrame) -> dict[str, Any]:
    """Return means, 95 % half widths and the compression ratio over a run's rows.

    CR is the bzip2'd PNG over the codec's bytes, a ratio of means: `cr` from the paper's count, `file_cr` from
    whole files.
    """
    skip = ("name", "celeba_id")
    columns = [c for c in rows.columns if c not in skip and not c.startswith(_CHOSEN)]
    pairs = {c: metrics.mean_and_interval(rows[c].dropna().astype(float).tolist()) for c in columns}
    means = {c: pair[0] for c, pair in pairs.items()}
    return {
        "num_images": len(rows),
        "targets_missed": int((~rows["chosen_hit"]).sum()) if "chosen_hit" in rows else 0,
        "mean": means,
        "ci95": {c: pair[1] for c, pair in pairs.items()},
        "cr": means["png_paper_bytes"] / means["paper_bytes"],
        "file_cr": means["png_paper_bytes"] / means["num_bytes"],
    } | summarise_identities(rows)
