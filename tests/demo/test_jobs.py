"""One job at a time, in their order; what fails is a sentence, and what is not wanted stops."""

import threading

import pytest
import torch

from ganrev.demo.jobs import MOST_WAITING, Jobs, QueueFullError
from ganrev.demo.watching import watched
from ganrev.demo.work import Outcome, Wish
from ganrev.pixels import to_images, to_x
from tests.tiny import TinyGenerator, smooth_images

IMAGE = torch.zeros(3, 8, 8, dtype=torch.uint8)


def wait_for(job):
    for _ in range(500):
        if job.ended:
            return job.state
        threading.Event().wait(0.01)
    raise AssertionError(job.state)


class Gate:
    """Work that goes on when it is told to."""

    def __init__(self):
        self.open, self.begun, self.order, self.at_once = threading.Event(), threading.Event(), [], 0

    def __call__(self, image, wish, show):
        self.order.append(wish.num_bytes)
        self.begun.set()
        while not self.open.wait(0.01):
            show(7, IMAGE)
        if wish.num_bytes == 13:
            raise ValueError("13 bytes are unlucky")
        if wish.num_bytes == 14:
            raise TypeError("a bug")
        return Outcome(b"file", [], 0.0)


def test_jobs_go_one_after_the_other_in_their_order():
    gate = Gate()
    jobs = Jobs(gate)
    added = [jobs.add(IMAGE, Wish(size)) for size in (30, 20, 10)]
    gate.begun.wait(5)
    assert [jobs.num_ahead(job) for job in added] == [0, 1, 2]
    assert [job.state for job in added] == ["working", "waiting", "waiting"]
    gate.open.set()
    assert [wait_for(job) for job in added] == ["done"] * 3
    assert gate.order == [30, 20, 10]
    assert added[0].outcome.blob == b"file"
    assert jobs.find(added[1].name) is added[1]
    assert jobs.find("other") is None


def test_a_failure_is_told_and_the_next_job_goes_on(caplog):
    gate = Gate()
    gate.open.set()
    jobs = Jobs(gate)
    mistake, bug, good = (jobs.add(IMAGE, Wish(size)) for size in (13, 14, 30))
    assert [wait_for(job) for job in (mistake, bug, good)] == ["failed", "failed", "done"]
    assert mistake.error == "13 bytes are unlucky"
    assert bug.error == "the program failed: please report what it says in its window"
    assert [record.message for record in caplog.records] == ["the page failed at something"]


def test_jobs_stop_where_they_wait_and_where_they_work():
    gate = Gate()
    jobs = Jobs(gate)
    working, waiting = jobs.add(IMAGE, Wish(30)), jobs.add(IMAGE, Wish(20))
    gate.begun.wait(5)
    jobs.stop(waiting)
    assert waiting.state == "stopped"
    jobs.stop(working)
    assert wait_for(working) == "stopped"
    gate.open.set()
    assert wait_for(jobs.add(IMAGE, Wish(10))) == "done"
    assert gate.order == [30, 10]


def test_too_many_are_refused_and_old_ones_are_forgotten():
    gate = Gate()
    jobs = Jobs(gate)
    first = jobs.add(IMAGE, Wish(30))
    gate.begun.wait(5)
    others = [jobs.add(IMAGE, Wish(20)) for _ in range(MOST_WAITING)]
    with pytest.raises(QueueFullError, match="8 pictures wait already: try again"):
        jobs.add(IMAGE, Wish(20))
    gate.open.set()
    assert wait_for(others[-1]) == "done"
    for _ in range(20):
        wait_for(jobs.add(IMAGE, Wish(20)))
    assert jobs.find(first.name) is None


def test_what_is_drawn_is_seen_from_outside():
    generator = TinyGenerator().freeze()
    images = smooth_images(1)
    seen = []
    z = torch.zeros(2, 16)
    z[1] = generator.invert_linear_map(to_x(images))[0]
    with watched(generator, images[0], lambda number, picture: seen.append((number, picture))):
        generator(z)
        generator(z)  # too soon after the first to be shown
    generator(z)
    ((number, picture),) = seen
    assert number == 1
    assert torch.equal(picture, to_images(generator(z))[1])  # the lane that is nearer to the face
