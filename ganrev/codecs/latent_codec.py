"""What codecs share whose files hold the latents of a generator."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ganrev.codecs.base import CodecIdentity, DescribedCodec, check_blobs
from ganrev.codecs.renderer import Renderer
from ganrev.codecs.symbol_search import SymbolSearch
from ganrev.coding import container
from ganrev.coding.backends import Entropy
from ganrev.coding.latent_coder import LatentCoder
from ganrev.configuration.options import Whole, checked_options
from ganrev.generator.base import Generator, Levels
from ganrev.reversal.device import Device


class LatentCodec(DescribedCodec):
    """Reads `.gr` files and draws their pictures; subclasses write them.

    Args:
        generator: frozen; pictures must have its size.
        loss: what chooses among files of a picture.
        entropy: the lossless back end of the files that are written.
        scaled: whether each latent of the files that are written has a step size of its own.
        device: where and how precisely to compute.
        seed: of the initial latents.
        latent: which latents the files that are written hold.

    Attributes:
        coder: turns symbols into files and back.
        renderer: draws latents.
        search: finds symbols of low D + lambda R.

    Raises:
        ValueError: a seed that is no whole number, a loss that cannot take the generator's size, or a generator
            without the digest of its weights.
    """

    suffix = ".gr"
    has_learned = True
    image_size: int

    @checked_options("")
    def __init__(
        self,
        generator: Generator,
        loss: nn.Module,
        entropy: Entropy,
        scaled: bool,
        device: Device,
        seed: Whole,
        latent: Levels = "z",
    ) -> None:
        container.fingerprint(generator.digest)  # without it files could not name the generator that made them
        self.device, self.seed = device, seed
        self.renderer = Renderer(generator, device)
        self.generator, self.image_size, self.card = self.renderer.generator, generator.image_size, generator.card
        self.loss = loss.to(device.torch_device)
        self.coder = LatentCoder(self.generator, entropy, scaled, latent)
        self.search = SymbolSearch(self.renderer, self.loss, self.coder)
        # A loss that cannot take this size raises now, not after the descent.
        self.loss(self._blank(), self._blank())

    def _blank(self) -> Tensor:
        """Return a grey picture, x [1, 3, S, S] on the device."""
        return torch.zeros(1, 3, self.generator.image_size, self.generator.image_size, device=self.device.torch_device)

    def latents(self, blobs: list[bytes]) -> Tensor:
        """Return the dequantised latents of `.gr` files, float32 [N, D]; raises what `decode` does.

        D is that of z; where a file holds more all have as many, zeros for what they leave out.
        """
        check_blobs(blobs)
        return pad_sequence(self.coder.read_several(blobs), batch_first=True)

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Draw uint8 [N, 3, S, S] RGB from `.gr` files.

        Raises:
            ganrev.coding.frame.ContainerError: a file is corrupt, foreign, or made with other weights.
            ValueError: there is no file.
        """
        return self.renderer.draw(self.latents(blobs))

    def identity(self) -> CodecIdentity:
        """Return what can change its results apart from its configuration."""
        return CodecIdentity(
            type(self).__name__.lower(), precision=self.device.precision, weights=self.generator.digest
        )

    def bytes_for_paper(self, blob: bytes) -> int:
        """Count the payload alone, as the paper does."""
        return container.payload_bytes(blob)
