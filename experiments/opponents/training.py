"""One training of a learned opponent: a step, its rates, its loss."""

import copy
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.learned.autoencoders import Autoencoder, Hyperprior
from baselines.learned.encoders import GeneratorEncoder
from baselines.learned.model import Kind, LearnedModel
from baselines.learned.rates import BEST_QUALITY, lambda_of
from ganrev.generator.base import Generator
from ganrev.pixels import to_x
from ganrev.reversal.losses import MSE, SSIM
from ganrev.train.batches import deblur
from ganrev.train.folder import restore
from ganrev.train.networks import Discriminator, discriminator_loss, generator_loss

_FIRST_FACES = 1000  # that say where a fresh autoencoder begins
_MIDDLE = 50.0  # the quality whose loss counts once


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a model is trained.

    Attributes:
        steps: of a batch each.
        lr: of the weights.
        fast: by what gains and deviations are faster; they are logarithms.
        batch_size: faces of a step.
        mse_weight: of the mean squared error beside 1 - SSIM, of pictures in [-1, 1].
        adversary_weight: of the adversary on redrawn faces; 0 for none.
        start: the model whose weights it goes on from; None for none.
        deblur: each face is sharpened by between the first and the second, as for the generator.
        seed: of everything random.
    """

    steps: int
    lr: float = 1e-3
    fast: float = 10.0
    batch_size: int = 16
    mse_weight: float = 30.0
    adversary_weight: float = 0.0
    start: Kind | None = None
    deblur: tuple[float, float] = (0.4, 1.2)
    seed: int = 0


# In an order in which each finds what it starts from.
RECIPES: dict[Kind, Recipe] = {
    "autoencoder": Recipe(steps=2800),
    "hyperprior": Recipe(steps=2800),
    "encoder": Recipe(steps=800),
    "adversarial": Recipe(steps=300, lr=4e-4, adversary_weight=0.06, start="encoder"),
}


def make_model(kind: Kind, generator: Generator) -> LearnedModel:
    """Return an untrained model; two of them have the generator for a decoder."""
    if kind == "autoencoder":
        return Autoencoder()
    return Hyperprior() if kind == "hyperprior" else GeneratorEncoder(generator)


class Training:
    """The state of one training: networks, optimisers and the step reached.

    Args:
        model: fresh, or with the weights of `recipe.start`.
        recipe: how to train it.
        faces: uint8 [N, 3, 128, 128] training faces; some of them say where a fresh autoencoder begins.
    """

    def __init__(self, model: LearnedModel, recipe: Recipe, faces: Tensor) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.model = recipe, model
        if isinstance(model, Autoencoder):
            some = faces[torch.randperm(len(faces))[:_FIRST_FACES]]
            model.start_from(self._sharpened(some, torch.Generator().manual_seed(0)))
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.average = copy.deepcopy(model).requires_grad_(False)
        if isinstance(model, GeneratorEncoder):
            self._cheapen(model)
        fast = model.fast_parameters()
        slow = [p for p in model.parameters() if all(p is not other for other in fast)]
        groups = [{"params": slow, "scale": 1.0}, {"params": fast, "scale": recipe.fast, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.99), weight_decay=1e-4)
        self.ssim, self.mse = SSIM(), MSE()
        self.discriminator = Discriminator() if recipe.adversary_weight else None
        if self.discriminator is not None:
            self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), 2e-4, betas=(0.0, 0.99))
        self.step, self.seconds = 0, 0.0

    def _cheapen(self, model: GeneratorEncoder) -> None:
        """Let the model draw in bfloat16, and guess by one matrix product."""
        linear = model.generator.get_submodule("linear")
        assert isinstance(linear, nn.Linear)  # `Generator.invert_linear_map` needs one, too
        side = math.isqrt(linear.out_features // 3)
        inverse = torch.linalg.pinv(linear.weight.detach().double()).float()
        bias = 0.0 if linear.bias is None else linear.bias.detach()
        model.guess = lambda x: F.linear(F.interpolate(x, size=side, mode="area").flatten(1) - bias, inverse)  # type: ignore[method-assign]
        model._generator = [copy.deepcopy(model.generator).bfloat16().to(memory_format=torch.channels_last)]  # type: ignore[call-overload]

    def _sharpened(self, images: Tensor, rng: torch.Generator) -> Tensor:
        least, most = self.recipe.deblur
        strength = least + (most - least) * torch.rand(len(images), generator=rng)
        return deblur(to_x(images), strength).contiguous(memory_format=torch.channels_last)

    def state(self) -> dict:
        """Return all that a resumed training needs, for `load`."""
        parts = ["model", "average", "optimizer"] + ["discriminator", "optimizer_d"] * (self.discriminator is not None)
        return {part: getattr(self, part).state_dict() for part in parts} | {"step": self.step, "seconds": self.seconds}

    def load(self, state: dict) -> None:
        """Go on from what `state` returned."""
        restore(self, state)

    def advance(self, images: Tensor) -> dict[str, float]:
        """Take one step on uint8 images [N, 3, 128, 128]; returns means over them."""
        recipe = self.recipe
        # Rates: a short warm-up, then a cosine.
        cosine = 0.5 * (1 + math.cos(math.pi * self.step / recipe.steps))
        factor = min(1.0, (self.step + 1) / 50) * (0.02 + 0.98 * cosine)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * group["scale"] * factor
        # Redraw each face at a quality of its own.
        rng = torch.Generator().manual_seed(recipe.seed * 7_919 + self.step)
        x = self._sharpened(images, rng)
        quality = BEST_QUALITY * torch.rand(len(x), generator=rng)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            drawn, bits = self.model(x, quality, rng)
        # D + lambda R, weighted so that no rate drowns the others.
        lambdas = lambda_of(quality)
        ssim, mse = self.ssim(drawn, x), self.mse(drawn, x)
        cost = recipe.mse_weight * mse + ssim + lambdas * bits / 8
        weight = (lambdas / lambda_of(torch.tensor(_MIDDLE))) ** -0.3
        total = (weight * cost).mean()
        terms = {"cost": cost, "mse": mse, "ssim": 1 - ssim, "bytes": bits / 8}
        if self.discriminator is not None:
            total = total + recipe.adversary_weight * self._adversary(x, drawn)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        self.optimizer.step()
        self._average()
        self.step += 1
        return {name: float(value.detach().mean()) for name, value in terms.items()}

    def _adversary(self, x: Tensor, drawn: Tensor) -> Tensor:
        """Train the discriminator on redrawn faces and return the loss by which they are to fool it."""
        assert self.discriminator is not None
        self.discriminator.requires_grad_(True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = discriminator_loss(self.discriminator(x), self.discriminator(drawn.detach()))
        self.optimizer_d.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer_d.step()
        self.discriminator.requires_grad_(False)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return generator_loss(self.discriminator(drawn))

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones."""
        decay = min(0.998, (self.step + 1) / (self.step + 10))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        for average, live in pairs:
            average.lerp_(live, 1 - decay)
