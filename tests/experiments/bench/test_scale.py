"""Peak memory of runs over few and many pictures."""

import json
import sys

import pytest

from experiments.bench import scale


def test_a_peak_is_that_of_the_largest_process():
    taking = "x = bytearray(b'1') * (200 << 20)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {taking!r}], check=True)"
    assert scale.peak([sys.executable, "-c", child], {}) > 200  # at least that of this process, from which it is forked


def test_a_command_that_fails_is_told():
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        scale.peak([sys.executable, "-c", "1 / 0"], {})


def test_few_and_many_pictures_are_compared(tmp_path, monkeypatch, capsys):
    peaks = iter([100.0, 50.0, 148.0, 51.0, 70.0])

    def peak(command, environment):
        for option in command:
            if option.startswith("out="):
                (scale.Path(option[4:]) / "jpeg-1").mkdir(parents=True)
        return next(peaks)

    monkeypatch.setattr(scale, "peak", peak)
    scale.main(["--pictures", "2", "6", "--table", "table1", "--out", str(tmp_path / "scale.json")])
    found = json.loads((tmp_path / "scale.json").read_text())
    assert (found["run, each more picture"], found["decode, each more picture"], found["table1"]) == (12.0, 0.25, 70.0)
    assert "run, each more picture: 12288.0 KiB; the picture itself has 48" in capsys.readouterr().out
