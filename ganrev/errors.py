"""A user's mistake ends with one message, not with a stack trace.

Hydra and OmegaConf are not imported here, since that takes a second: their errors occur only where they are loaded.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def root_cause(error: BaseException) -> BaseException:
    """Return the error that caused others, without Hydra's wrapping."""
    if "hydra.errors" not in sys.modules:
        return error
    from hydra.errors import InstantiationException

    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def root_message(error: BaseException) -> str:
    """Return the message of the error that caused others."""
    return in_words(root_cause(error))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Print ValueErrors, missing files and config mistakes as `error: ...` and exit with status 2.

    Errors that are the program's own fault keep their stack trace: an InstantiationException passes unless a
    ValueError or an OSError caused it. Ctrl-C ends with one line, too, and status 130.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on with what is not finished", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        message = users_mistake(error)
        if message is None:
            raise
        fail(message)


def fail(message: str) -> None:
    """Print `error: ...` and exit with status 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def in_words(error: BaseException) -> str:
    """Return the message of an error; of one of the system's, which has a number, the file and what happened to it."""
    if not isinstance(error, OSError) or error.errno is None or error.strerror is None:
        return str(error)
    return f"{error.filename} cannot be read or written: {error.strerror}" if error.filename else error.strerror


def users_mistake(error: Exception) -> str | None:
    """Return a message for the user; None for an error that is the program's own fault."""
    if "hydra.errors" in sys.modules:
        message = _mistake_in_config(error)
        if message is not None:
            return message
    return in_words(error) if isinstance(error, ValueError | OSError) else None


def _mistake_in_config(error: Exception) -> str | None:
    """Return a message for the user about an error of Hydra's or OmegaConf's; None for another error."""
    from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    if isinstance(error, InstantiationException):
        cause = root_cause(error)
        if isinstance(cause, ImportError) and str(error).startswith("Error locating target "):
            target = str(error).split("'")[1]
            return (
                f"{target} cannot be imported ({' '.join(str(cause).split())}); is its name right, and does PYTHONPATH "
                "name the folder that holds it?"
            )
        mistake = isinstance(cause, ValueError | OSError | TypeError | HydraException)
        return in_words(cause) if mistake else None
    if isinstance(error, MissingMandatoryValue):
        key = str(error).splitlines()[0].rpartition(" ")[2].removeprefix("codec.")
        return f"{key} is not set: add {key}=... to the command"
    if isinstance(error, OmegaConfBaseException):
        return str(error).splitlines()[0]  # the rest repeats the key and names a Python type
    if isinstance(error, ConfigCompositionException):
        text, _, advice = str(error).partition("\nTo append to your config use")  # advice that does not help
        text = " ".join(text.partition("Config search path")[0].split())
        return f"{text} The choices made have no such key; --help lists the groups" if advice else text
    return str(error) if isinstance(error, HydraException) else None
