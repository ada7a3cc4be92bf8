"""A user's mistake ends with one message, not with a stack trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException


def root_cause(error: BaseException) -> BaseException:
    """Return what went wrong first, without Hydra's wrapping."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def root_message(error: BaseException) -> str:
    """Return the message of what went wrong first."""
    return str(root_cause(error))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print ValueErrors, missing files and config mistakes as `error: ...` and exit with status 2.

    Errors that are the program's own fault keep their stack trace: an InstantiationException passes unless a
    ValueError or an OSError caused it. Ctrl-C ends with one line, too, and status 130.
    """
    try:
        yield
    except InstantiationException as error:
        cause = root_cause(error)
        if not isinstance(cause, ValueError | OSError | TypeError | HydraException):
            raise
        _fail(root_message(error))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on with what is not finished", file=sys.stderr)
        raise SystemExit(130) from None
    except MissingMandatoryValue as error:
        key = str(error).splitlines()[0].rpartition(" ")[2].removeprefix("codec.")
        _fail(f"{key} is not set: add {key}=... to the command")
    except OmegaConfBaseException as error:
        _fail(str(error).splitlines()[0])  # the rest repeats the key and names a Python type
    except ConfigCompositionException as error:
        text, _, advice = str(error).partition("\nTo append to your config use")  # which would only be ignored
        _fail(f"{text} The choices made have no such key; --help lists the groups" if advice else text)
    except (ValueError, OSError, HydraException) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)
