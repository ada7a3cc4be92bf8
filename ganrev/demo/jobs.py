"""Jobs of the page: one at a time, the others wait in a row."""

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from ganrev.demo.work import Outcome, Wish
from ganrev.errors import users_mistake
from ganrev.pixels import to_png

State = Literal["waiting", "working", "done", "failed", "stopped"]
Work = Callable[[Tensor, Wish, Callable[[int, Tensor], None]], Outcome]

MOST_WAITING = 8
_MOST_KEPT = 16  # jobs that have ended

_logger = logging.getLogger(__name__)


class QueueFullError(ValueError):
    """Too many jobs wait already."""


class _StoppedError(Exception):
    """Whoever asked for a job wants it no more."""


@dataclass(eq=False)
class Job:
    """One face to compress.

    Attributes:
        image: uint8 [3, S, S].
        wish: size or quality of the file.
        name: a random one, which addresses use.
        state: where it stands.
        num_drawn: pictures that the generator has drawn for it.
        preview: the last of them, a PNG; empty before the first.
        outcome: once it is done.
        error: why it failed, a sentence.
        wanted: false once it should stop.
    """

    image: Tensor
    wish: Wish
    name: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: State = "waiting"
    num_drawn: int = 0
    preview: bytes = b""
    outcome: Outcome | None = None
    error: str = ""
    wanted: bool = True

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("done", "failed", "stopped")

    def show(self, num_drawn: int, picture: Tensor) -> None:
        """Take what the generator draws under way; raises where the job should stop."""
        if not self.wanted:
            raise _StoppedError
        self.num_drawn, self.preview = num_drawn, to_png(picture)


class Jobs:
    """Works on jobs, one after the other, in a thread of its own.

    Args:
        work: makes the outcome of a face and a wish; is given what shows it under way.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="ganrev demo", daemon=True).start()

    def add(self, image: Tensor, wish: Wish) -> Job:
        """Put a job at the end of the row.

        Raises:
            QueueFullError: eight wait already.
        """
        with self._changed:
            if sum(job.state == "waiting" for job in self._jobs.values()) >= MOST_WAITING:
                raise QueueFullError(f"{MOST_WAITING} pictures wait already: try again when one of them is done")
            ended = [name for name, job in self._jobs.items() if job.ended]
            for name in ended[: max(0, len(ended) - _MOST_KEPT)]:
                del self._jobs[name]
            job = Job(image, wish)
            self._jobs[job.name] = job
            self._changed.notify()
        return job

    def find(self, name: str) -> Job | None:
        """Return the job of a name; None where there is none, or no more."""
        return self._jobs.get(name)

    def num_ahead(self, job: Job) -> int:
        """Return how many jobs come before this one."""
        with self._changed:
            others = list(self._jobs.values())
        return sum(not other.ended for other in others[: others.index(job)]) if job in others else 0

    def stop(self, job: Job) -> None:
        """Take a job out of the row, or end it where it is under way: at once, or at its next picture."""
        with self._changed:
            job.wanted = False
            if job.state == "waiting":
                job.state = "stopped"

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: any(job.state == "waiting" for job in self._jobs.values()))
                job = next(job for job in self._jobs.values() if job.state == "waiting")
                job.state = "working"
            try:
                job.outcome = self._work(job.image, job.wish, job.show)
                job.state = "done"
            except _StoppedError:
                job.state = "stopped"
            except Exception as error:  # the thread must outlive any job
                job.error = users_mistake(error) or own_fault(error)
                job.state = "failed"


def own_fault(error: Exception) -> str:
    """Log an error that is no user's mistake; return what to tell the user."""
    _logger.error("the page failed at something", exc_info=error)
    return "the program failed: please report what it says in its window"
