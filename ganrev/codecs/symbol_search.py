"""Symbols chosen for the picture that the decoder will draw and for what they cost: minimise D + lambda R.

D is the loss of the drawn picture, R the bytes that the entropy coder's own integer tables give the symbols.
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from ganrev.codecs.polishing import cheapest_moves, polish
from ganrev.codecs.prices import GridPricing, Prices
from ganrev.codecs.problem import Problem
from ganrev.codecs.renderer import Renderer
from ganrev.codecs.rounding import Follow, descend
from ganrev.codecs.target import Target
from ganrev.coding.latent_coder import LatentCoder
from ganrev.coding.quantiser import Effort, step_size_for
from ganrev.pixels import to_x

_BATCH_SIZE = 16  # pictures compared at a time


class SymbolSearch:
    """Searches for symbols of a generator's latents of low D + lambda R.

    Args:
        renderer: draws the pictures.
        loss: D; takes x and target [L, 3, S, S], returns [L], and lives on the renderer's device.
        coder: gives the code lengths of symbols.

    Attributes:
        curvature: of the loss, relative to SSIM's (`ganrev.reversal.losses`).
    """

    def __init__(self, renderer: Renderer, loss: nn.Module, coder: LatentCoder) -> None:
        self.renderer, self.loss, self.coder = renderer, loss, coder
        self.curvature = float(getattr(loss, "curvature", 1.0))
        self.pricing = GridPricing(renderer.generator) if coder.levels == "all" else None

    def with_grid(self, z: Tensor, images: Tensor, step_sizes: Tensor) -> Tensor:
        """Return all latents that files hold, float32 [L, D] on the CPU: z, and a grid proposed from what z leaves.

        Args:
            z: float32 [L, latent_dim].
            images: uint8 [L, 3, S, S].
            step_sizes: float32 [L], as each lane's file will store it.
        """
        if self.coder.levels == "z":
            return z
        return torch.cat(
            self.renderer.device.in_parts(
                lambda lanes: self._propose(z[lanes], images[lanes], step_sizes[lanes]), len(z)
            )
        )

    @torch.no_grad()
    def _propose(self, z: Tensor, images: Tensor, step_sizes: Tensor) -> Tensor:
        generator, device = self.renderer.fast_generator, self.renderer.device.torch_device
        grid = generator.grid
        if grid is None:
            return z
        empty = torch.zeros(len(z), grid.num_latents, device=device)
        x = self.renderer.targets(images)
        residual = x - generator(torch.cat((z.to(device), empty), dim=1))
        exact = self.renderer.generator.grid
        log2_step = (exact or grid).log2_step(step_sizes.to(device))
        return torch.cat((z, grid.propose(residual, log2_step).cpu()), dim=1)

    def search_symbols(
        self,
        z: Tensor,
        images: Tensor,
        rngs: Sequence[torch.Generator],
        step_sizes: Tensor,
        lmbda: Tensor,
        effort: Effort,
    ) -> tuple[Tensor, Tensor]:
        """Search for symbols of low D + lambda R from latents that were found before; all tensors on the CPU.

        Args:
            z: float32 [L, D], of all levels that files hold.
            images: uint8 [L, 3, S, S].
            rngs: one random stream per lane.
            step_sizes: float32 [L], as each lane's file will store it.
            lmbda: float32 [L], the loss that a byte may cost.
            effort: how long to search.

        Returns:
            Symbols int32 [L, D], and the latents [L, D] that the descent came to before they were rounded and polished.
        """
        device = self.renderer.device

        def search_part(lanes: list[int]) -> tuple[Tensor, Tensor]:
            problem = self._problem(images[lanes], step_sizes[lanes], lmbda[lanes])
            _, symbols, latents = search(
                problem, z[lanes].to(device.torch_device), effort, [rngs[lane] for lane in lanes]
            )
            return symbols.cpu(), latents.cpu()

        symbols, latents = zip(*device.in_parts(search_part, len(images)), strict=True)
        return torch.cat(symbols), torch.cat(latents)

    def search_target(
        self,
        z: Tensor,
        images: Tensor,
        rngs: Sequence[torch.Generator],
        lmbda: Tensor,
        target: Target,
        effort: Effort,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Search for symbols whose files have, nearly, what is asked for; lambda and the step sizes follow that.

        Args:
            z, images, rngs, effort: as for `search_symbols`.
            lmbda: to begin with, float32 [L].
            target: of the files.

        Returns:
            Symbols int32 [L, D], the latents [L, D] that the descent came to, and the lambda of each lane [L], by which
            `step_sizes` gives what symbols are worth.
        """
        device = self.renderer.device

        def search_part(lanes: list[int]) -> tuple[Tensor, Tensor, Tensor]:
            def at(lambdas: Tensor) -> Problem:
                return self._problem(images[lanes], self.step_sizes(lambdas), lambdas)

            def follow(problem: Problem, prices: Prices, symbols: Tensor) -> Problem:
                return at(target.follow(problem, prices, symbols))

            start, streams = z[lanes].to(device.torch_device), [rngs[lane] for lane in lanes]
            problem, symbols, latents = search(at(lmbda[lanes]), start, effort, streams, follow)
            return symbols.cpu(), latents.cpu(), problem.lmbda.cpu()

        symbols, latents, lambdas = zip(*device.in_parts(search_part, len(images)), strict=True)
        return torch.cat(symbols), torch.cat(latents), torch.cat(lambdas)

    def step_sizes(self, lmbda: Tensor) -> Tensor:
        """Return the step size that suits each lambda [L], as files store it, float32 [L] on the CPU."""
        return torch.tensor([step_size_for(each, self.curvature) for each in lmbda.tolist()])

    def _problem(self, images: Tensor, step_sizes: Tensor, lmbda: Tensor) -> Problem:
        device = self.renderer.device.torch_device
        return Problem(
            self.renderer.fast_generator,
            self.loss,
            self.renderer.targets(images),
            torch.as_tensor(self.coder.step_sizes(step_sizes, True)).to(device),
            lmbda.to(device),
            partial(self.coder.z_codes, step_sizes=step_sizes),
            None if self.pricing is None else (self.pricing, step_sizes.to(device)),
        )

    def cheapest_moves(self, symbols: Tensor, images: Tensor, step_sizes: Tensor) -> list[Tensor]:
        """Return which symbols to take one nearer to zero first, so that a file loses little while it gets smaller.

        Args:
            symbols: int32 [L, D], on the CPU as all that is given and returned.
            images: uint8 [L, 3, S, S].
            step_sizes: float32 [L], as each lane's file stores it.

        Returns:
            Indices int64 [M], by loss per byte saved, of each lane.
        """
        device = self.renderer.device

        def moves_of(lanes: list[int]) -> list[Tensor]:
            sizes = step_sizes[lanes]
            problem = self._problem(images[lanes], sizes, torch.ones_like(sizes))
            # All step sizes change D equally: by c s^2 / 2 for a move by one (`step_size_for`).
            curvature = 0.5 * self.curvature * sizes**2
            return cheapest_moves(problem, symbols[lanes].to(device.torch_device), curvature.to(device.torch_device))

        return list(chain.from_iterable(device.in_parts(moves_of, len(images))))

    @torch.no_grad()
    def distortions(self, z: Tensor, images: Tensor, judge: nn.Module | None = None) -> Tensor:
        """Return the loss of each picture that the decoder will draw from latents [L, D], float32 [L] on the CPU.

        It is infinite where the latents give no finite picture; by another loss where there is a judge.
        """
        drawn = self.renderer.draw(z)
        pairs = zip(to_x(drawn).split(_BATCH_SIZE), to_x(images).split(_BATCH_SIZE), strict=True)
        losses = [(judge or self.loss)(*(x.to(self.renderer.device.torch_device) for x in pair)) for pair in pairs]
        return torch.cat(losses).nan_to_num(float("inf")).cpu()


def search(
    problem: Problem, z: Tensor, effort: Effort, rngs: Sequence[torch.Generator], follow: Follow | None = None
) -> tuple[Problem, Tensor, Tensor]:
    """Search for symbols of low D + lambda R, from latents z float32 [L, D] and one random stream per lane.

    Args:
        problem: what is minimised, at first.
        z: where to begin.
        effort: how long to search.
        rngs: for the rounding.
        follow: changes the problem under way (`descend`).

    Returns:
        The problem at the end, symbols int32 [L, D], and the latents [L, D] that the descent came to.
    """
    positions = z / problem.step_sizes
    if effort.num_steps:
        problem, positions = descend(problem, z, effort, rngs, follow)
    symbols = polish(problem, positions.round().to(torch.int32), effort.num_rounds)
    return problem, symbols, positions * problem.step_sizes
