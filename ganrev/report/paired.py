"""Runs compared picture by picture: differences of means, and how sure they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy import stats

from ganrev.report.reported import MEASURES, ReportedRun

_NUM_RESAMPLES = 4999
_CONFIDENCE = 0.95
_MOST_SIGNS = 13  # differences whose signs are all tried, as SciPy does
_NUM_NAMED = 5  # pictures, where a list would be long


@dataclass(frozen=True)
class PairedResult:
    """Two runs on the same pictures, by one measure. Differences are first minus second.

    Attributes:
        first, second: labels of the runs.
        measure: a key of `MEASURES`.
        num_images: pictures in both.
        mean: mean difference; infinite or NaN where a score is infinite, as the PSNR of a lossless codec.
        low, high: 95 % bootstrap interval of the mean difference (BCa); NaN where there is none.
        p_value: Wilcoxon's signed-rank test, two-sided; NaN where scores are infinite.
        p_holm: the same after Holm's correction over the pairs of runs; equal to it for one pair.
        wins, ties, losses: pictures in which the first is better, equal, worse.
        deciding: the fewest pictures without which the mean difference has the other sign or none, those that weigh
            most first; empty where each picture says the same.
    """

    first: str
    second: str
    measure: str
    num_images: int
    mean: float
    low: float
    high: float
    p_value: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    deciding: list[str]

    @property
    def named(self) -> list[str]:
        """The first few of the pictures that decide."""
        return self.deciding[:_NUM_NAMED]

    @property
    def verdict(self) -> str:
        """Which pictures decide, in a few words."""
        if self.wins + self.losses == 0:
            return "all equal"
        if not self.deciding:
            return "all agree" if not (self.wins and self.losses) else "undecided"
        more = len(self.deciding) - _NUM_NAMED
        return ", ".join(self.deciding[:_NUM_NAMED]) + (f" and {more} more" if more > 0 else "")


def compare_runs(runs: Sequence[ReportedRun]) -> list[PairedResult]:
    """Compare each two runs by each measure that both have; Holm's correction is over the pairs of a measure.

    Raises:
        ValueError: fewer than two runs, or runs on different pictures; it says which differ.
    """
    if len(runs) < 2:
        raise ValueError(f"compare takes two runs or more, got {len(runs)}")
    for run in runs[1:]:
        difference = picture_difference(runs[0], run)
        if difference:
            raise ValueError(f"{runs[0].folder} and {run.folder} are runs on different pictures: {difference}")
    results = [
        _compare(first, second, measure)
        for measure in MEASURES
        for first, second in combinations(runs, 2)
        if measure in first.measures and measure in second.measures
    ]
    return [result for measure in MEASURES for result in _corrected([r for r in results if r.measure == measure])]


def picture_difference(first: ReportedRun, second: ReportedRun) -> str:
    """Say which pictures two runs do not share; empty where both have the same."""
    here, there = set(first.rows.index), set(second.rows.index)
    parts = [
        f"only the {which} has {_named(sorted(names))}"
        for which, names in (("first", here - there), ("second", there - here))
        if names
    ]
    if first.pictures_digest == second.pictures_digest:
        return "; ".join(parts)
    sizes = [run.summary["image_size"] for run in (first, second)]
    if sizes[0] != sizes[1]:
        parts.append(f"the first are of {sizes[0]} x {sizes[0]} pixels, the second of {sizes[1]} x {sizes[1]}")
    originals = [run.rows["png_paper_bytes"] for run in (first, second)]
    changed = [name for name in first.rows.index if name in there and originals[0][name] != originals[1][name]]
    if changed and sizes[0] == sizes[1]:
        parts.append(f"the same name means another picture for {_named(changed)}")
    return "; ".join(parts) or "their names agree, their order or pixels do not"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NUM_NAMED
    return ", ".join(names[:_NUM_NAMED]) + (f" and {more} more" if more > 0 else "")


def _compare(first: ReportedRun, second: ReportedRun, measure: str) -> PairedResult:
    """Compare two runs on the same pictures by one measure; `p_holm` is not corrected yet."""
    scored = first.rows[measure].notna() & second.rows.loc[first.rows.index, measure].notna()
    names = list(first.rows.index[scored])
    values = [run.rows.loc[names, measure].to_numpy(dtype=float) for run in (first, second)]
    equal = values[0] == values[1]  # infinite scores among them
    with np.errstate(invalid="ignore"):
        differences = np.where(equal, 0.0, values[0] - values[1])
    gains = differences if MEASURES[measure][3] else -differences
    low, high = _interval(differences)
    p_value = _wilcoxon(differences)
    return PairedResult(
        first=first.label,
        second=second.label,
        measure=measure,
        num_images=len(names),
        mean=float(differences.mean()),
        low=low,
        high=high,
        p_value=p_value,
        p_holm=p_value,
        wins=int((gains > 0).sum()),
        ties=int((gains == 0).sum()),
        losses=int((gains < 0).sum()),
        deciding=_deciding(names, differences),
    )


def _interval(differences: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of float [N], by resampling pictures; NaN where there is none."""
    if len(differences) < 2 or not np.isfinite(differences).all():
        return math.nan, math.nan
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    found = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=_NUM_RESAMPLES,
        confidence_level=_CONFIDENCE,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def _wilcoxon(differences: np.ndarray) -> float:
    """Return the two-sided p of the signed-rank test; pictures that tie are left out."""
    if not np.isfinite(differences).all():
        return math.nan
    telling = differences[differences != 0]
    if not len(telling):
        return 1.0
    ranks = stats.rankdata(np.abs(telling))
    if len(telling) > _MOST_SIGNS or len(np.unique(ranks)) == len(ranks):
        return float(stats.wilcoxon(telling).pvalue)
    # Few differences of which some are equal: SciPy tries all signs, too, one by one.
    signs = np.array(list(product((0, 1), repeat=len(ranks))))
    sums, found = signs @ ranks, ranks[telling > 0].sum()
    return float(min(1.0, 2 * min((sums <= found).mean(), (sums >= found).mean())))


def _deciding(names: Sequence[str], differences: np.ndarray) -> list[str]:
    """Return the fewest pictures without which the mean is no longer on its side of 0."""
    total = float(differences.sum())
    if not np.isfinite(differences).all() or total == 0 or (differences * np.sign(total) >= 0).all():
        return []
    sign = np.sign(total)
    chosen = []
    for place in np.argsort(-sign * differences, kind="stable"):
        chosen.append(names[place])
        total -= float(differences[place])
        if sign * total <= 0:
            break
    return chosen


def _corrected(results: Sequence[PairedResult]) -> list[PairedResult]:
    """Apply Holm's step-down correction to the results of one measure; NaN stays and counts for nothing.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = sorted((r.p_value, place) for place, r in enumerate(results) if not math.isnan(r.p_value))
    corrected = list(results)
    largest = 0.0
    for rank, (p_value, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_value))
        corrected[place] = replace(results[place], p_holm=largest)
    return corrected


def to_text(results: Sequence[PairedResult]) -> str:
    """Return the comparison as a table for a terminal."""
    several = len({(r.first, r.second) for r in results}) > 1
    header = ["n", "measure", "mean difference", "95 % interval", "p"]
    header += [*(["p, Holm"] if several else []), "wins", "ties", "losses", "decided by"]
    if several:
        header = ["first", "second", *header]
    lines = [header]
    for r in results:
        holm = [write_p(r.p_holm)] if several else []
        counts = [str(r.wins), str(r.ties), str(r.losses)]
        shown = [str(r.num_images), MEASURES[r.measure][0], write_difference(r), write_interval(r)]
        line = [*shown, write_p(r.p_value), *holm, *counts, r.verdict]
        lines.append([r.first, r.second, *line] if several else line)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    pair = [] if several or not results else [f"first:  {results[0].first}", f"second: {results[0].second}", ""]
    return "\n".join([*pair, *padded, "", *explanation(results)])


def explanation(results: Sequence[PairedResult]) -> list[str]:
    """Say what the columns of a comparison mean."""
    lines = [
        "Paired over n pictures: first minus second. A win is a picture in which the first is better: fewer bytes, "
        "more PSNR and SSIM, less ST-LPIPS.",
        f"Interval: bootstrap over pictures (BCa, {_NUM_RESAMPLES} resamples). p: Wilcoxon's signed-rank test.",
    ]
    pairs = len({(r.first, r.second) for r in results})
    if pairs > 1:
        lines.append(f"Holm's correction is over the {pairs} pairs of runs, measure by measure.")
    return [*lines, "Decided by: the fewest pictures without which the mean difference would not keep its sign."]


def write_difference(result: PairedResult) -> str:
    """Write the mean difference with its sign."""
    if not math.isfinite(result.mean):
        return "" if math.isnan(result.mean) else f"{'+' if result.mean > 0 else '-'}∞"
    return f"{result.mean:+.{MEASURES[result.measure][2]}f}"


def write_interval(result: PairedResult) -> str:
    """Write the interval of the mean difference; nothing where there is none."""
    digits = MEASURES[result.measure][2]
    return "" if math.isnan(result.low) else f"{result.low:+.{digits}f} to {result.high:+.{digits}f}"


def write_p(value: float) -> str:
    """Write a p value; nothing where there is none."""
    if math.isnan(value):
        return ""
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"
