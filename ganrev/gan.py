"""GAN reversal as a codec."""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ganrev import container, entropy, ratedistortion
from ganrev.codec import check_blobs, check_images
from ganrev.device import Device
from ganrev.frame import CorruptFileError
from ganrev.generator.base import Generator
from ganrev.options import is_number, is_whole
from ganrev.pixels import to_images, to_x
from ganrev.quantise import SYMBOL_LIMIT, Quantiser, dequantise, quantise
from ganrev.rangecoder import scale_codes
from ganrev.ratedistortion import Effort
from ganrev.reversal import Reversal, Reversed, lane_rng, reverse
from ganrev.trace import Recorder, Trace, make_trace


class GanCodec:
    """Compresses a picture to the quantised latent that redraws it.

    Args:
        generator: frozen; pictures must have its size.
        loss: what reversal descends and what chooses among restarts.
        quant: the quantiser.
        entropy: the lossless back end.
        reversal: the descent.
        device: where and how precisely to compute.
        seed: of the initial latents.
        latent_scale: factor on z before rounding; None for the generator's own `unseen_scale`, 1 for pictures
            that the generator drew itself.
        on_trace: called with a `Trace` after each `encode`.

    Raises:
        ValueError: a seed, scale or step that cannot be used, a loss that cannot take the generator's size, or a
            generator without the digest of its weights.
    """

    suffix = ".gr"

    def __init__(
        self,
        generator: Generator,
        loss: nn.Module,
        quant: Quantiser,
        entropy: entropy.Entropy,
        reversal: Reversal,
        device: Device,
        seed: int = 0,
        latent_scale: float | None = None,
        on_trace: Callable[[Trace], None] | None = None,
    ) -> None:
        scale = generator.unseen_scale if latent_scale is None else latent_scale
        if not (is_number(scale) and scale > 0):
            raise ValueError(f"latent_scale must be a positive number or null, got {scale!r}")
        if not is_whole(seed):
            raise ValueError(f"seed must be a whole number, got {seed!r}")
        self.device, self.seed, self.on_trace = device, int(seed), on_trace
        self.entropy, self.reversal = entropy, reversal
        self.curvature = getattr(loss, "curvature", 1.0)
        self.step, self.scaled = quant.step_in_z(scale, self.curvature), quant.scaled
        self.effort, self.lmbda = quant.effort, quant.lmbda
        self._check_step(generator)
        self.generator = generator.freeze().to(device.torch_device)
        fast = copy.deepcopy(self.generator)
        self.fast_generator = fast.to(device.dtype, memory_format=torch.channels_last)
        self.loss = loss.to(device.torch_device)
        self.image_size = generator.image_size
        self.digest = generator.digest
        self._mark = container.fingerprint(self.digest)
        blank = torch.zeros(1, 3, self.image_size, self.image_size, device=device.torch_device)
        self.loss(blank, blank)  # a loss that cannot take this size says so now, not after the descent
        if reversal.init == "linear":
            self.fast_generator.propose(blank)  # likewise

    def _check_step(self, generator: Generator) -> None:
        """Raise ValueError for a step that the entropy back end or the symbols' 16 bits cannot carry."""
        if self.step == 0:
            if not self.entropy.takes_floats:
                raise ValueError("entropy=range codes integer symbols; quant=none needs another, such as entropy=bz2")
            return
        if self.effort:
            self.entropy.codes(np.zeros(1, np.int32), np.zeros(1, np.int64))
        reach = generator.latent_steps * self.step if self.scaled else torch.tensor([self.step])
        narrow = float(reach.min())
        if narrow * SYMBOL_LIMIT < 8 * generator.prior_std:
            factor = 8 * generator.prior_std / (SYMBOL_LIMIT * narrow)
            raise ValueError(
                f"the step is {narrow:.3g} in units of z, and symbols of 16 bits would not reach the latents; "
                f"make quant.step at least {factor:.2g} times as large, or take quant=none"
            )

    @property
    def precision(self) -> str:
        """Name of the dtype of reversal; a part of the run's identity."""
        return self.device.precision

    def encode(self, images: Tensor) -> list[bytes]:
        """Compress uint8 [N, 3, S, S] RGB, S the generator's size, to N `.gr` files."""
        check_images(images, self.image_size)
        if not len(images):
            return []
        restarts = self.reversal.restarts
        lane_images = images.repeat_interleave(restarts, dim=0)
        rngs = [lane_rng(self.seed, image, i % restarts) for i, image in enumerate(lane_images)]
        found, recorders = self._reverse(lane_images, rngs)
        lanes = (~found.lost).nonzero().flatten()  # as many of each picture
        symbols, costs = self._symbols(found.z[lanes].cpu(), lane_images[lanes], [rngs[lane] for lane in lanes])
        best = costs.view(len(images), -1).argmin(dim=1) + torch.arange(0, len(lanes), len(lanes) // len(images))
        if self.on_trace:
            self.on_trace(make_trace(found, recorders, lanes[best] % restarts, restarts))
        return [self.write(row, self.step) for row in symbols[best].numpy()]

    def recode(self, z: Tensor, images: Tensor) -> list[bytes]:
        """Quantise and code latents [N, D] that were found before for uint8 pictures [N, 3, S, S]: N `.gr` files."""
        symbols, _ = self._symbols(z, images, [lane_rng(self.seed, image, 0) for image in images])
        return [self.write(row, self.step) for row in symbols.numpy()]

    def latents(self, blobs: list[bytes]) -> Tensor:
        """Return the dequantised latents of `.gr` files, float32 [N, D]; raises what `decode` does."""
        check_blobs(blobs)
        return torch.stack([self._latent(container.read(blob)) for blob in blobs])

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Draw uint8 [N, 3, S, S] RGB from `.gr` files.

        Raises:
            ganrev.frame.ContainerError: a file is corrupt, foreign, or made with other weights.
            ValueError: there is no file.
        """
        return self._draw(self.latents(blobs))

    def _reverse(self, images: Tensor, rngs: list[torch.Generator]) -> tuple[Reversed, list[Recorder]]:
        """Reverse all lanes, the restarts of a picture side by side; returns a recorder a part, too."""

        def reverse_part(lanes: list[int]) -> tuple[Reversed, Recorder]:
            recorder = Recorder(self.reversal.steps)
            found = reverse(
                self.fast_generator,
                self.loss,
                self._targets(images[lanes]),
                [rngs[lane] for lane in lanes],
                self.reversal,
                recorder,
                f"reversing {lanes[0] + 1}-{lanes[-1] + 1} of {len(images)} lanes",
            )
            return found, recorder

        parts, recorders = zip(*self.device.in_parts(reverse_part, len(images), self.reversal.restarts), strict=True)
        return Reversed(*(torch.cat([getattr(p, field) for p in parts]) for field in vars(parts[0]))), list(recorders)

    def _targets(self, images: Tensor) -> Tensor:
        return to_x(images.to(self.device.torch_device)).contiguous(memory_format=torch.channels_last)

    def _symbols(self, z: Tensor, images: Tensor, rngs: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Return the symbols of each lane, int32 [L, D], and what chooses among restarts, float32 [L].

        Symbols that were searched for stand beside plainly rounded ones, and the better are kept.
        """
        in_z = self.steps_in_z(self.step, self.scaled)
        plain = quantise(z, in_z)
        if self.effort is None:
            alone = self.reversal.restarts == 1 or self.reversal.halving  # nothing to choose from
            return plain, torch.zeros(len(z)) if alone else self.distortions(dequantise(plain, in_z), images)
        steps, prices = torch.full((len(z),), self.step), torch.full((len(z),), self.lmbda)
        pair = (plain, self.weigh(z, images, rngs, steps, prices, self.effort))
        costs = [self.distortions(dequantise(s, in_z), images) + prices * self.num_bytes(s, steps) for s in pair]
        return torch.where((costs[1] <= costs[0])[:, None], pair[1], plain), torch.minimum(*costs)

    def weigh(
        self, z: Tensor, images: Tensor, rngs: list[torch.Generator], steps: Tensor, lmbda: Tensor, effort: Effort
    ) -> Tensor:
        """Search for symbols of low D + lambda R from latents that were found before; all tensors on the CPU.

        Args:
            z: float32 [L, D].
            images: uint8 [L, 3, S, S].
            rngs: one random stream a lane.
            steps: float32 [L], each lane's step as its file will store it.
            lmbda: float32 [L], the loss that a byte may cost.
            effort: how long to search.

        Returns:
            int32 [L, D].
        """
        device = self.device.torch_device

        def search_part(lanes: list[int]) -> Tensor:
            problem = ratedistortion.Problem(
                self.fast_generator,
                self.loss,
                self._targets(images[lanes]),
                self.steps_in_z(steps[lanes]).to(device),
                lmbda[lanes].to(device),
                lambda symbols: self._codes(symbols, steps[lanes]),
            )
            streams = [rngs[lane] for lane in lanes]
            return ratedistortion.search(problem, z[lanes].to(device), effort, streams).cpu()

        return torch.cat(self.device.in_parts(search_part, len(images)))

    def num_bytes(self, symbols: Tensor, steps: Tensor) -> Tensor:
        """Return the ideal size of each lane's payload, float32 [L], in bytes, from symbols [L, D] and steps [L]."""
        rates = ratedistortion.Rates(self._codes(symbols, steps), int(symbols.abs().max()), symbols.device)
        return rates.num_bytes(symbols)

    def _codes(self, symbols: Tensor, steps: Tensor) -> np.ndarray:
        """Return the scale code under which each symbol of int32 [L, D] would be coded, int64 [L, D]."""
        pairs = zip(symbols.cpu().numpy(), steps.tolist(), strict=True)
        return np.stack([self.entropy.codes(row, self._scales(step, True)) for row, step in pairs])

    @torch.no_grad()
    def distortions(self, z: Tensor, images: Tensor) -> Tensor:
        """Return the loss of each picture that the decoder will draw from latents [L, D], float32 [L] on the CPU.

        It is infinite where the picture is none.
        """
        pairs = zip(to_x(self._draw(z)).split(16), to_x(images).split(16), strict=True)
        losses = [self.loss(*(x.to(self.device.torch_device) for x in pair)) for pair in pairs]
        return torch.cat(losses).nan_to_num(float("inf")).cpu()

    @torch.no_grad()
    def _draw(self, z: Tensor) -> Tensor:
        """Draw uint8 pictures on the CPU from latents [N, D], in float32."""
        parts = [to_images(self.generator(part.to(self.device.torch_device))).cpu() for part in z.split(16)]
        return torch.cat(parts)

    def steps_in_z(self, step: float | Tensor, scaled: bool = True) -> float | Tensor:
        """Return what a symbol of each latent is worth in units of z, from the step that a file stores.

        Args:
            step: of a file, or of each lane [L].
            scaled: whether it multiplies each latent's own.

        Returns:
            float32 [D], or [L, D] for lanes; the step itself where it is that of all latents.
        """
        return torch.as_tensor(step)[..., None] * self.generator.latent_steps if scaled else step

    def _scales(self, step: float, scaled: bool) -> np.ndarray:
        """Return how widely each symbol spreads, as the range coder's scale codes, int64 [D]."""
        deviations = self.generator.latent_deviations.numpy()
        return scale_codes(
            deviations, np.broadcast_to(np.float32(self.steps_in_z(step or 1, scaled)), deviations.shape)
        )

    def write(self, symbols: np.ndarray, step: float) -> bytes:
        """Return the `.gr` file of int32 symbols [D] (float32 latents where step is 0)."""
        payload = self.entropy.encode(symbols, self._scales(step, self.scaled))
        return container.write(container.Container(self.entropy.code, step, self._mark, payload, self.scaled))

    def _latent(self, content: container.Container) -> Tensor:
        container.check_generator(content, self.digest)
        back_end = entropy.by_code(content.entropy_code)
        try:
            symbols = back_end.decode(content.payload, self._scales(content.step_size, content.scaled))
        except ValueError as error:
            raise CorruptFileError(str(error)) from error
        if (symbols.dtype == np.float32) != (content.step_size == 0):
            raise CorruptFileError("the .gr file's step and its symbols contradict each other")
        return dequantise(torch.from_numpy(symbols), self.steps_in_z(content.step_size, content.scaled))
