"""Files of nearly equal size."""

import pytest

from ganrev.report import read_reported
from ganrev.report.matching import TOLERANCE, match_sizes


def test_each_codec_gives_its_nearest_file(stored):
    runs = read_reported(stored.of("jpeg1", "jpeg10", "kmeans"))
    size = int(runs[0].rows["num_bytes"].median())
    matched = match_sizes(runs, size)
    assert list(matched.files) == list(runs[0].rows.index)
    for name, files in matched.files.items():
        for kind, file in files.items():
            offered = [int(run.rows.loc[name, "num_bytes"]) for run in runs if run.kind == kind]
            assert abs(file.num_bytes - size) == min(abs(one - size) for one in offered)
            assert abs(file.num_bytes - size) <= TOLERANCE * size
    assert matched.count("jpeg") > 0


def test_how_far_sizes_differ(stored):
    runs = read_reported(stored.of("jpeg1", "jpeg10", "kmeans", "gan"))
    sizes = runs[2].rows["num_bytes"]
    matched = match_sizes(runs, int(runs[0].rows["num_bytes"].mean()))
    assert all(0 <= spread <= (1 + TOLERANCE) / (1 - TOLERANCE) - 1 for spread in matched.spreads)
    nothing = match_sizes(runs, 10 * int(sizes.max()))
    assert "No picture has files of" in nothing.notes[0]
    assert "jpeg has such a file for 0 of 6 pictures; of the first without, its nearest has" in "\n".join(nothing.notes)


def test_a_size_is_positive(stored):
    with pytest.raises(ValueError, match="at least 1, such as 250,445; got 0"):
        match_sizes(read_reported(stored.of("jpeg1")), 0)
