"""What is printed or logged never fails for want of a character: terminals of other encodings get a replacement.

Files are another matter: they are always written as UTF-8.
"""

import codecs
import io
import logging
import sys

_SPELT = {"∞": "inf", "±": "+-", "…": "...", "–": "-", "×": "x"}  # noqa: RUF001


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by something that means the same, or else by its code."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    spelt = "".join(_SPELT.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return spelt, error.end


codecs.register_error("ganrev.spell", _spell)


def print_anything() -> None:
    """Let this process print and log every text, whatever the encoding of the terminal; log files become UTF-8.

    A name of a file may hold bytes that no encoding has, and a locale may be Latin-1, which has no infinity sign.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a program that embeds this one may have put another in its place
            stream.reconfigure(errors="ganrev.spell")
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and isinstance(handler.stream, io.TextIOWrapper):
            handler.stream.reconfigure(encoding="utf-8", errors="backslashreplace")
