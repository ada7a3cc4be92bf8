"""One descent: lanes that stop where they are no number, and that may leave."""

import math

import torch

from ganrev.reversal.descent import Descent, PictureLoss
from ganrev.reversal.losses import MSE
from tests.tiny import TinyGenerator


class Square:
    """The squared distance of each lane from its target, [L, D]; not finite for one lane once told so."""

    def __init__(self, targets):
        self.targets, self.spoilt = targets, None

    def losses(self, z, step):
        found = ((z - self.targets) ** 2).sum(dim=1)
        return found if self.spoilt is None else found * torch.where(torch.arange(len(z)) == self.spoilt, math.nan, 1.0)

    def keep(self, kept):
        self.targets = self.targets[kept]


def sgd(z):
    return torch.optim.SGD([z], lr=1.0)


def test_a_step_is_the_learning_rate_times_the_gradient_and_what_was_known_is_kept():
    start = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    descent = Descent(start.clone(), Square(torch.zeros(2, 2)), sgd, 3)
    descent.step(0.25)
    assert descent.z.shape == (2, 2)
    assert descent.z.dtype == torch.float32
    assert torch.equal(descent.z, start / 2)
    assert descent.losses.shape == (2, 3)
    assert descent.losses[:, 0].tolist() == [5.0, 25.0]
    assert descent.losses[:, 1:].isnan().all()
    assert (descent.num_done, descent.lanes.tolist(), descent.alive.all().item()) == (1, [0, 1], True)


def test_lanes_leave_and_the_others_go_on_as_if_alone():
    start, targets = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(3, 4)

    def adam(z):
        return torch.optim.Adam([z], lr=0.1)

    together = Descent(start.clone(), Square(targets), adam, 4)
    alone = Descent(start[2:].clone(), Square(targets[2:]), adam, 4)
    for step in range(4):
        together.step(0.1)
        alone.step(0.1)
        if step == 1:
            left = together.z[:2].clone()
            together.drop(torch.tensor([True, False, False]))
            together.keep(torch.tensor([False, False, True]))
    assert together.lanes.tolist() == [2]
    assert together.dropped.tolist() == [True, False, False]
    assert torch.equal(together.z[2:], alone.z)
    assert torch.equal(together.z[:2], left)
    assert together.losses.isfinite().sum(dim=1).tolist() == [2, 2, 4]
    assert torch.equal(together.last_losses()[:2], together.losses[:2, 1])


def test_a_lane_without_a_number_stays_where_it_is_and_its_last_loss_is_infinite():
    objective = Square(torch.zeros(2, 1))
    descent = Descent(torch.ones(2, 1), objective, sgd, 3)
    objective.spoilt = 1
    descent.step(0.25)
    objective.spoilt = None
    descent.step(0.25)  # once is for ever
    assert descent.alive.tolist() == [True, False]
    assert descent.z.flatten().tolist() == [0.25, 1.0]
    objective.spoilt = 1
    descent.losses[1] = math.nan
    assert descent.last_losses().tolist()[1] == math.inf


def test_the_loss_of_pictures_goes_on_with_the_lanes_that_are_kept():
    generator = TinyGenerator().freeze()
    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    targets = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    objective = PictureLoss(generator, MSE(), targets)
    expected = MSE()(generator(z), targets)
    torch.testing.assert_close(objective.losses(z, 0), expected)
    objective.keep(torch.tensor([1, 2]))
    torch.testing.assert_close(objective.losses(z[1:], 0), expected[1:])
