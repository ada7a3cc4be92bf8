"""Progress: a redrawn line on a terminal, few whole lines in a log."""

import io

import pytest

from ganrev import progress
from ganrev.progress import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass as the test says, for tqdm and for the log's lines."""
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


def run(clock, file, seconds, num_steps=100, **options):
    for _ in ProgressBar(range(num_steps), desc="working", file=file, disable=False, **options):
        clock[0] += seconds / num_steps


def test_a_log_gets_a_line_every_thirty_seconds_and_a_last_one(clock):
    log = io.StringIO()
    run(clock, log, seconds=100)
    lines = log.getvalue().splitlines()
    assert len(lines) == 4
    assert "\r" not in log.getvalue()
    assert all(line.startswith("working: ") for line in lines)
    assert "100/100 [01:40<00:00" in lines[-1]
    assert "█" not in log.getvalue()


def test_short_work_leaves_nothing_in_a_log(clock):
    log = io.StringIO()
    run(clock, log, seconds=9)
    assert log.getvalue() == ""
    run(clock, log, seconds=11)
    assert len(log.getvalue().splitlines()) == 1


def test_the_last_line_is_not_printed_twice(clock):
    log = io.StringIO()
    run(clock, log, seconds=35, num_steps=1)
    assert len(log.getvalue().splitlines()) == 1


def test_bars_inside_another_have_no_last_line(clock):
    log = io.StringIO()
    for _ in ProgressBar(range(10), desc="outer", file=log, disable=False):
        run(clock, log, seconds=12)
    lines = log.getvalue().splitlines()
    assert all(line.startswith("outer: ") for line in lines)
    assert 3 <= len(lines) <= 5


def test_what_a_bar_tells_beside_adds_no_lines(clock):
    log = io.StringIO()
    bar = ProgressBar(total=100, file=log, disable=False)
    for step in range(100):
        clock[0] += 1
        bar.update()
        bar.set_postfix({"ssim": step})
    bar.close()
    assert len(log.getvalue().splitlines()) == 4
    assert "ssim=99" in log.getvalue()


def test_a_terminal_is_redrawn(clock):
    screen = Terminal()
    run(clock, screen, seconds=20, leave=False)
    assert screen.getvalue().count("\r") > 50


def test_silence_where_tqdm_is_silenced(clock):
    assert progress.tqdm is ProgressBar.__mro__[1]
    log = io.StringIO()  # tests/conftest.py sets TQDM_DISABLE
    for _ in ProgressBar(range(10), file=log):
        clock[0] += 60
    assert log.getvalue() == ""
