"""GAN reversal as a codec."""

import dataclasses

import torch
from torch import Tensor, nn

from ganrev.codecs.base import CodecIdentity, EncodeReport, check_images
from ganrev.codecs.lanes import reverse_pictures
from ganrev.codecs.latent_codec import LatentCodec
from ganrev.coding.backends import Entropy
from ganrev.coding.quantiser import Quantiser, dequantise, quantise
from ganrev.configuration.options import Positive, check_option, checked_options
from ganrev.generator.base import Generator, Levels
from ganrev.reversal.device import Device
from ganrev.reversal.reversing import lane_rng
from ganrev.reversal.settings import Reversal
from ganrev.reversal.trace import make_trace


class GanCodec(LatentCodec):
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
        latent: `z`, or `all` latents that the generator has; these join once z has been found.

    Attributes:
        step_size: between symbols, as the files store it; 0 for float32 latents.

    Raises:
        ValueError: a seed, scale or step that cannot be used, a loss that cannot take the generator's size, or a
            generator without the digest of its weights.
    """

    @checked_options("")
    def __init__(
        self,
        generator: Generator,
        loss: nn.Module,
        quant: Quantiser,
        entropy: Entropy,
        reversal: Reversal,
        device: Device,
        seed: int = 0,
        latent_scale: Positive | None = None,
        latent: Levels = "z",
    ) -> None:
        scale = generator.unseen_scale if latent_scale is None else latent_scale
        check_option(Positive, "the generator's unseen_scale", scale)
        super().__init__(generator, loss, entropy, quant.scaled, device, seed, latent)
        self.reversal, self.effort, self.lmbda = reversal, quant.effort, quant.lmbda
        self.step_size = quant.stored_step_size(scale, self.search.curvature)
        self.coder.check(self.step_size, prices=self.effort is not None)
        if reversal.init == "linear":
            self.renderer.fast_generator.invert_linear_map(self._blank())  # one without says so now

    def identity(self) -> CodecIdentity:
        """Return what can change its results apart from its configuration; the scale may be the generator's own."""
        return dataclasses.replace(super().identity(), step_size=self.step_size)

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, S, S] RGB, S the generator's size, to N `.gr` files; with a trace of the descent."""
        check_images(images, self.image_size)
        if not len(images):
            return EncodeReport([])
        lanes = reverse_pictures(self.renderer, self.loss, images, self.seed, self.reversal)
        symbols, costs = self._symbols(lanes.z, lanes.images, lanes.rngs)
        best = lanes.best(costs)
        blobs = [self.coder.write(row, self.step_size) for row in symbols[best].numpy()]
        restarts = self.reversal.restarts
        trace = make_trace(lanes.found, lanes.recorders, lanes.kept[best] % restarts, restarts)
        return EncodeReport(blobs, trace.arrays())

    def recode(self, z: Tensor, images: Tensor) -> list[bytes]:
        """Quantise and code z [N, D] that were found before for uint8 pictures [N, 3, S, S]: N `.gr` files."""
        symbols, _ = self._symbols(z, images, [lane_rng(self.seed, image, 0) for image in images])
        return [self.coder.write(row, self.step_size) for row in symbols.numpy()]

    def _symbols(self, z: Tensor, images: Tensor, rngs: list[torch.Generator]) -> tuple[Tensor, Tensor]:
        """Return the symbols of each lane, int32 [L, D], and what chooses among restarts, float32 [L].

        Where symbols are searched for they are compared with plain rounding, and the better ones are kept.
        """
        step_sizes = torch.full((len(z),), self.step_size)
        latents = self.search.with_grid(z, images, step_sizes)
        in_z = self.coder.step_sizes(self.step_size)
        plain = quantise(latents, in_z)
        if self.effort is None:
            alone = self.reversal.restarts == 1 or self.reversal.halving  # nothing to choose from
            return plain, torch.zeros(len(z)) if alone else self.search.distortions(dequantise(plain, in_z), images)
        lmbda = torch.full((len(z),), self.lmbda)
        searched, _ = self.search.search_symbols(latents, images, rngs, step_sizes, lmbda, self.effort)
        plain_cost, searched_cost = (
            self.search.distortions(dequantise(symbols, in_z), images)
            + lmbda * self.coder.num_bytes(symbols, step_sizes)
            for symbols in (plain, searched)
        )
        better = (searched_cost <= plain_cost)[:, None]
        return torch.where(better, searched, plain), torch.minimum(plain_cost, searched_cost)
