"""Runs compared picture by picture."""

import math

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy import stats

from ganrev.cli import main
from ganrev.evaluation.run_folder import RunFolder
from ganrev.report import compare_runs, paired, read_reported, reported
from ganrev.report.reported import ReportedRun, told_apart
from tests.tiny import compose_config


def only(results, measure):
    (found,) = [result for result in results if result.measure == measure]
    return found


def test_two_runs(stored):
    first, second = read_reported(stored.of("jpeg10", "jpeg1"))
    result = only(compare_runs([first, second]), "ssim")
    differences = (first.rows["ssim"] - second.rows["ssim"]).to_numpy()
    assert result.mean == pytest.approx(differences.mean())
    assert result.low < result.mean < result.high
    assert result.p_value == result.p_holm == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert (result.wins, result.ties, result.losses) == (
        int((differences > 0).sum()),
        0,
        int((differences < 0).sum()),
    )
    assert result.num_images == len(differences)


def test_fewer_bytes_win(stored):
    result = only(compare_runs(read_reported(stored.of("jpeg1", "jpeg10"))), "num_bytes")
    assert result.mean < 0
    assert result.wins == result.num_images
    assert result.verdict == "all agree"


def test_a_lossless_run_wins_by_an_infinite_psnr(stored):
    result = only(compare_runs(read_reported(stored.of("png", "jpeg1"))), "psnr")
    assert result.mean == math.inf
    assert result.wins == result.num_images
    assert math.isnan(result.low)
    assert math.isnan(result.p_value)
    assert "+∞" in paired.to_text([result])


def test_runs_that_agree(stored):
    (run,) = read_reported(stored.of("png"))
    result = only(compare_runs([run, run]), "psnr")  # infinity less infinity
    assert (result.mean, result.low, result.high, result.p_value) == (0, 0, 0, 1)
    assert result.ties == result.num_images
    assert result.verdict == "all equal"


def test_the_images_that_decide():
    names = ["a", "b", "c", "d"]
    assert paired._deciding(names, np.array([5.0, 3.0, -1.0, -1.0])) == ["a", "b"]
    assert paired._deciding(names, np.array([-5.0, 3.0, -1.0, 2.0])) == ["a"]
    assert paired._deciding(names, np.array([5.0, 3.0, 0.0, 2.0])) == []  # all agree
    assert paired._deciding(names, np.array([1.0, -1.0, 2.0, -2.0])) == []  # there is nothing to decide


def test_holms_correction(stored):
    results = compare_runs(read_reported(stored.of("jpeg1", "jpeg10", "kmeans")))
    by_p = sorted((r for r in results if r.measure == "ssim"), key=lambda r: r.p_value)
    assert len(by_p) == 3
    expected, largest = [], 0.0
    for rank, result in enumerate(by_p):
        largest = max(largest, min(1.0, (3 - rank) * result.p_value))
        expected.append(largest)
    assert [result.p_holm for result in by_p] == pytest.approx(expected)


def test_the_same_numbers_each_time(stored):
    runs = read_reported(stored.of("jpeg1", "kmeans"))
    assert compare_runs(runs) == compare_runs(runs)


def test_other_pictures_are_refused(stored, others):
    runs = read_reported([*stored.of("jpeg1"), *others.of("png")])
    with pytest.raises(ValueError, match=r"only the second has drawn6; the same name means another picture for drawn0"):
        compare_runs(runs)


def test_one_run_is_refused(stored):
    with pytest.raises(ValueError, match="two runs or more, got 1"):
        compare_runs(read_reported(stored.of("jpeg1")))


def test_compare_from_the_command_line(stored, capsys):
    main(["compare", *map(str, stored.of("jpeg1", "jpeg10"))])
    printed = capsys.readouterr().out
    assert "JPEG, 1 %" in printed
    assert "Holm" not in printed
    main(["compare", *map(str, stored.of("jpeg1", "jpeg10", "png"))])
    assert "Holm's correction is over the 3 pairs" in capsys.readouterr().out


def test_runs_are_named_by_what_differs_between_them(tmp_path):
    runs = []
    for number, size in enumerate(("codec.target_bytes=120", "codec.target_bytes=300")):
        config = compose_config("codec=gan_auto", "reversal.steps=50", size)
        (tmp_path / f"{number}").mkdir()
        OmegaConf.save(config, tmp_path / f"{number}" / "config.yaml", resolve=True)
        run = RunFolder(tmp_path / f"{number}")
        runs.append(ReportedRun(run, " ".join(reported._own_words(run)), f"{number}", "gan_auto", {}))
    assert runs[0].label == "gan_auto target_bytes=120 reversal.steps=50"
    assert [run.label for run in told_apart(runs)] == ["gan_auto target_bytes=120", "gan_auto target_bytes=300"]


def test_few_differences_of_which_some_are_equal_are_tested_as_scipy_does():
    for differences in ([1, -1, 2, 3, 3, 5], [2, 2, 2, -1, 4, 6, -6, 8], [1, 1], [-3, -3, 1]):
        expected = stats.wilcoxon(differences).pvalue
        assert paired._wilcoxon(np.array(differences, dtype=float)) == pytest.approx(expected)
