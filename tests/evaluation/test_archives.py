"""Archives joined from their parts, an array of a part at a time."""

import numpy as np
import pytest

from ganrev.evaluation.archives import join_archives


def parts(folder, *contents):
    paths = [folder / f"{number}.npz" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        np.savez(path, **content)
    return paths


def test_arrays_are_concatenated_and_what_all_share_is_kept_once(tmp_path):
    rng = np.random.default_rng(0)
    contents = [
        {
            "losses": rng.random((size, 2, 5), dtype=np.float32),
            "diverged": rng.random((size, 2)) < 0.5,
            "snapshot_steps": np.arange(4),
            "result": np.array("{}"),
        }
        for size in (3, 1, 2)
    ]
    join_archives(parts(tmp_path, *contents), tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as stored:
        found = dict(stored)
    assert set(found) == {"losses", "diverged", "snapshot_steps"}
    for name in ("losses", "diverged"):
        expected = np.concatenate([content[name] for content in contents])
        assert found[name].dtype == expected.dtype
        assert np.array_equal(found[name], expected)
    assert np.array_equal(found["snapshot_steps"], np.arange(4))


@pytest.mark.parametrize("other", [{"losses": np.zeros((1, 3))}, {"losses": np.zeros((1, 2), np.float32)}, {}])
def test_parts_that_do_not_fit_are_named(tmp_path, other):
    paths = parts(tmp_path, {"losses": np.zeros((1, 2))}, other)
    with pytest.raises(ValueError, match=r"1\.npz has no losses like that of .*0\.npz"):
        join_archives(paths, tmp_path / "all.npz")
    assert not (tmp_path / "all.npz").exists()
