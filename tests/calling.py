"""Runs and calls of `ganrev ...` in this process."""

import contextlib
import io

import pytest

from ganrev.cli import main
from ganrev.evaluation import identity, metrics, stages
from ganrev.evaluation.decoding import decode_folder


@contextlib.contextmanager
def running_quickly():
    """Decode in this process and leave slow measures out: all are tested elsewhere, and take seconds per run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "decode_all", decode_folder)
        patch.setattr(metrics, "takes_stlpips", lambda height, width: False)
        patch.setattr(metrics, "ssimulacra2", lambda images, decoded: None)
        patch.setattr(identity, "is_available", lambda: False)
        yield


def call(command, *argv):
    """Run `ganrev COMMAND ...` in this process; returns what it printed and its exit status."""
    printed = io.StringIO()
    status = 0
    with contextlib.redirect_stdout(printed):
        try:
            main([command, *map(str, argv)])
        except SystemExit as end:
            status = end.code
    return printed.getvalue(), status


def status_of(*argv):
    """Run `ganrev ...` in this process; returns its exit status."""
    try:
        main([str(argument) for argument in argv])
    except SystemExit as end:
        return end.code
    return 0


def fails(capsys, *arguments):
    """Run the command, which must end with status 2 and one line; returns the line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert len(complaint.splitlines()) == 1
    return complaint
