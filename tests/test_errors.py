"""Whose fault an error is: a user's mistake is one line, a bug keeps its stack trace."""

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ganrev.commands import files
from ganrev.errors import plain_errors, root_message


def make(error):
    raise error


@pytest.mark.parametrize("error", [ValueError("a bad value"), FileNotFoundError("a missing file")])
def test_a_users_mistake_ends_with_its_message(capsys, error):
    with pytest.raises(SystemExit) as stopped, plain_errors():
        raise error
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_users_mistake_deep_in_a_config_ends_with_its_message(capsys):
    nested = {"_target_": "tests.test_errors.make", "error": {"_target_": "tests.test_errors.make", "error": None}}
    nested["error"]["error"] = {"_target_": "ganrev.coding.Quantiser", "step": -3}
    with pytest.raises(SystemExit), plain_errors():
        instantiate(nested)
    assert capsys.readouterr().err.startswith("error: quant.step must be a positive number")


def test_a_value_that_is_missing_is_one_line(capsys):
    with pytest.raises(SystemExit), plain_errors():
        files.make_codec(["generator=dcgan"])
    assert capsys.readouterr().err == "error: generator.path is not set: add generator.path=... to the command\n"


@pytest.mark.parametrize("error", [KeyError("a bug"), RuntimeError("a bug"), ZeroDivisionError("a bug")])
def test_the_programs_own_fault_keeps_its_stack_trace(error):
    with pytest.raises(type(error)), plain_errors():
        raise error
    with pytest.raises(InstantiationException) as wrapped, plain_errors():
        instantiate({"_target_": "tests.test_errors.make", "_args_": [error]})
    assert root_message(wrapped.value) == str(error)


def test_ctrl_c_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped, plain_errors():
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip().startswith("interrupted")
