"""Progress bars: one line that is redrawn on a terminal, a line now and then in a log file."""

import sys
import time
from typing import Any

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 30.0
_SECONDS_FOR_A_LINE = 10.0  # shorter work leaves no line in a log


class ProgressBar(tqdm):
    """tqdm, except that it prints a few whole lines where stderr is not a terminal (a file, Slurm, CI).

    There a bar prints a line every 30 seconds, and, unless it stands inside another one, a last line when it closes
    after more than 10 seconds. Takes the arguments of tqdm; `TQDM_DISABLE=1` silences it, too.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        # Set before the rest: tqdm's own constructor may draw already.
        stream = options.get("file") or sys.stderr
        self._in_log = not (hasattr(stream, "isatty") and stream.isatty())
        self._began = self._last_line = time.monotonic()
        self._last_count: float | None = None
        if self._in_log:
            # ncols=0 leaves the drawn bar out. Beyond maxinterval tqdm's monitor would draw by itself.
            options |= {"mininterval": _SECONDS_BETWEEN_LINES, "maxinterval": 2 * _SECONDS_BETWEEN_LINES}
            options |= {"delay": _SECONDS_BETWEEN_LINES, "ncols": 0, "leave": False}
        super().__init__(*args, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """Draw the bar, or, in a log, print it as a line if the last one is old enough.

        tqdm calls this, and wants to know whether a bar was drawn; its type stubs say that nothing is returned.
        """
        if not self._in_log:
            return super().display(msg, pos)
        now = time.monotonic()
        if msg != "" and now - self._last_line >= _SECONDS_BETWEEN_LINES:  # tqdm clears a bar with ""
            self._print_line(now)
        return False

    def close(self) -> None:
        """End the bar; in a log with a last line, where it stood alone and took long."""
        outermost, was_open = not getattr(self, "pos", 0), not getattr(self, "disable", True)
        super().close()
        now = time.monotonic()
        took_long = now - self._began > _SECONDS_FOR_A_LINE
        if self._in_log and was_open and outermost and took_long and self.n != self._last_count:
            self._print_line(now)

    def _print_line(self, now: float) -> None:
        self.fp.write(f"{self}\n")
        self.fp.flush()
        self._last_line, self._last_count = now, self.n
