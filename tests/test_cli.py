"""The `ganrev` command: help, usage, and what it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ganrev import __version__, cli
from ganrev.cli import main

GOLDEN = Path(__file__).parent / "golden"
OWN_HELP = [name for name in cli.COMMANDS if name not in ("run", "train")]  # which Hydra helps with


def test_usage(capsys):
    for arguments in ([], ["compress"], ["compress", "a.png"], ["unpack", "a.gr"], ["info", "a.gr", "loss=mse"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "Usage: ganrev" in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments, expected in (
        (["--help"], "compress"),
        (["compress", "--help"], "-- codec=gan loss=mse quant=standard"),
        (["--version"], __version__),
    ):
        main(arguments)
        assert expected in capsys.readouterr().out


IMPORTS_NOTHING_HEAVY = """
import json, sys
from ganrev.cli import main
for arguments in json.loads(sys.argv[1]):
    main(arguments)
    heavy = [m for m in ("torch", "hydra", "omegaconf", "numpy", "pandas", "PIL") if m in sys.modules]
    assert not heavy, f"{arguments} imports {heavy}"
"""


def test_what_needs_no_model_imports_none():
    stored = str(GOLDEN / "v1-adaptive-extremes.gr")
    commands = [["--help"], ["--version"], ["info", stored], *([name, "--help"] for name in OWN_HELP)]
    command = [sys.executable, "-c", IMPORTS_NOTHING_HEAVY, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


ENDS_WHILE_IMPORTING = """
import sys
class Finder:
    def find_spec(name, path, target=None):
        if name == "click":
            raise %s
sys.meta_path.insert(0, Finder)
from ganrev.__main__ import main
main()
"""


@pytest.mark.parametrize(("error", "status", "told"), [("KeyboardInterrupt", 130, ""), ("ImportError", 1, "Traceback")])
def test_ctrl_c_while_the_command_is_imported_is_quiet(error, status, told):
    command = [sys.executable, "-c", ENDS_WHILE_IMPORTING % error]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr[: len("Traceback")]) == (status, told)


def test_every_command_has_help_with_an_example(capsys):
    main(["--help"])
    overview = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"\n  {name} " in overview
    for name in OWN_HELP:
        main([name, "--help"])
        assert f"\n  ganrev {name} " in capsys.readouterr().out
