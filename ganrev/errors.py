"""A user's mistake ends with one message, not with a stack trace."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import OmegaConfBaseException


def root_message(error: BaseException) -> str:
    """Return the message of what went wrong first, without Hydra's wrapping."""
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    return str(error)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print ValueErrors, missing files and config mistakes as `error: ...` and exit with status 2.

    Errors that are the program's own fault keep their stack trace: an InstantiationException passes unless a
    ValueError or an OSError caused it.
    """
    try:
        yield
    except InstantiationException as error:
        cause = error.__cause__
        if cause is not None and not isinstance(cause, ValueError | OSError | TypeError):
            raise
        _fail(root_message(error))
    except (ValueError, OSError, HydraException, OmegaConfBaseException) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)
