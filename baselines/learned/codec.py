"""The learned codecs behind the Codec protocol. A file is seven bytes of header, then the range coder's payload:

| bytes | what |
| --- | --- |
| 0-1 | magic `LC` |
| 2 | quality, 0 to 100 |
| 3-4 | fingerprint: first two bytes of the decoder's SHA-256 |
| 5-6 | CRC-16 (CCITT) of everything else, little-endian |
| 7- | payload: the symbols of all parts, one after the other |
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import constriction
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from baselines.learned.autoencoders import Autoencoder, Hyperprior
from baselines.learned.encoders import GeneratorEncoder
from baselines.learned.model import Kind, LearnedModel
from baselines.learned.rates import BEST_QUALITY
from baselines.learned.transforms import IMAGE_SIZE
from baselines.search import Knobs, Settings, best_file
from ganrev.codecs.base import CodecIdentity, DescribedCodec, EncodeReport, UnavailableError, check_blobs, check_images
from ganrev.coding.frame import CorruptFileError, Frame, WrongGeneratorError, fingerprint
from ganrev.coding.grouped import Decoder, decode_grouped, encode_grouped
from ganrev.coding.range_coder import payload_errors, start_decoder, trim
from ganrev.configuration.options import Count, Number, Whole, checked_options
from ganrev.generator.base import Generator
from ganrev.generator.weights import file_digest, load_state, load_tensors
from ganrev.paths import user_path
from ganrev.pixels import to_images, to_x

FINGERPRINT_BYTES = 2
FRAME = Frame(".lrn", b"LC", f"B{FINGERPRINT_BYTES}s")
FACES_CARD = "faces.json"
ROUNDING = 0.5
# Less rounding up makes smaller files: the floor lies where it is least.
_KNOBS = Knobs(range(BEST_QUALITY + 1), [[{}], [{"rounding": 0.42}, {"rounding": 0.34}]])
_VERSION = 1  # raised where the same weights would read the same file otherwise
Quality = Annotated[Whole, Field(ge=0, le=BEST_QUALITY, description=f"a whole number from 0 to {BEST_QUALITY}")]
Rounding = Annotated[Number, Field(ge=0, le=0.5, description="a number from 0 to 0.5, plain rounding")]


class LearnedCodec(DescribedCodec):
    """One trained model, at one quality or to a size.

    Args:
        kind: its name.
        model: trained.
        digest: SHA-256 of all that its decoder has learned, hexadecimal.
        quality: 0 to 100; sets the rate.
        target_bytes: where it is given, `quality` is not used: each picture gets the file not above this size whose
            picture has the smallest mean squared error, over all qualities and some roundings.
        rounding: what is added to a magnitude before its fraction is dropped; only the encoder needs it.
        card: of the faces trained on; None if there is none.
    """

    suffix = FRAME.suffix
    has_learned = True
    image_size = IMAGE_SIZE

    @checked_options("codec.")
    def __init__(
        self,
        kind: str,
        model: LearnedModel,
        digest: str,
        quality: Quality = 50,
        target_bytes: Count | None = None,
        rounding: Rounding = ROUNDING,
        card: Path | None = None,
    ) -> None:
        self.kind, self.model, self.digest, self.card = kind, model.eval().requires_grad_(False), digest, card
        self.quality, self.target_bytes, self.rounding = quality, target_bytes, rounding
        self._mark = fingerprint(digest, FINGERPRINT_BYTES)

    def identity(self) -> CodecIdentity:
        """Return the kind of model and the digest of what it has learned."""
        return CodecIdentity(self.kind, weights=self.digest)

    def encode_with_report(self, images: Tensor) -> EncodeReport:
        """Compress uint8 [N, 3, 128, 128] RGB to N `.lrn` files.

        Raises:
            ganrev.codecs.BelowFloorError: no file of a picture is as small as `target_bytes`.
        """
        check_images(images, self.image_size)
        return EncodeReport([self._encode_one(image) for image in images])

    def decode(self, blobs: list[bytes]) -> Tensor:
        """Draw uint8 [N, 3, 128, 128] RGB from `.lrn` files.

        Raises:
            ganrev.coding.frame.ContainerError: a file is corrupt, foreign, or made with other weights.
            ValueError: there is no file.
        """
        check_blobs(blobs)
        return torch.stack([self._read(blob) for blob in blobs])

    def _encode_one(self, image: Tensor) -> bytes:
        x = to_x(image[None]).contiguous()
        if self.target_bytes is None:
            return self._write(x, self.quality, self.rounding)

        def write(quality: float, settings: Settings) -> bytes:
            return self._write(x, int(quality), float(str(settings.get("rounding", self.rounding))))

        return best_file(image, self.target_bytes, _KNOBS, write, self._read)

    def _write(self, x: Tensor, quality: int, rounding: float) -> bytes:
        """Return the file of one picture, float32 [1, 3, 128, 128] in [-1, 1]."""
        parts = self.model.symbols(x, quality, rounding)
        codes = [self.model.codes(quality, parts[:place]) for place in range(len(parts))]
        encoder = constriction.stream.queue.RangeEncoder()
        for part, scales in zip(parts, codes, strict=True):
            encode_grouped(encoder, part, scales)
        return FRAME.write((quality, self._mark), trim(encoder))

    def _read(self, blob: bytes) -> Tensor:
        """Return the picture of one file, uint8 [3, 128, 128]."""
        FRAME.check_magic(blob)
        (quality, mark), payload = FRAME.read(blob)
        if mark != self._mark:
            raise WrongGeneratorError(
                f"the file was made with the weights {mark.hex()}, these of the {self.kind} are {self._mark.hex()}; "
                "decode with those it was made with"
            )
        if quality > BEST_QUALITY:
            raise CorruptFileError(f"the {FRAME.suffix} file names the impossible quality {quality}")
        try:
            parts = _decode_parts(start_decoder(payload), self.model.num_parts, partial(self.model.codes, quality))
        except ValueError as error:
            raise CorruptFileError(str(error)) from error
        return to_images(self.model.draw(parts, quality))[0]


def _decode_parts(
    decoder: Decoder, num_parts: int, codes_after: Callable[[list[np.ndarray]], np.ndarray]
) -> list[np.ndarray]:
    """Read the parts of one picture, each under the scale codes that follow from those before."""
    parts: list[np.ndarray] = []
    with payload_errors():
        for _ in range(num_parts):
            parts.append(decode_grouped(decoder, codes_after(parts)))
    return parts


def weights_folder() -> Path:
    """Return the folder of the weights that ship."""
    return Path(__file__).parent / "weights"


def _load(
    kind: Kind, model: LearnedModel, path: str | Path | None, *decoders: str
) -> tuple[LearnedModel, str, Path | None]:
    """Return the model with its weights, the digest of its decoder, and the card of the faces trained on."""
    file = weights_folder() / f"{kind}.safetensors" if path is None else user_path(path)
    if not file.is_file():
        raise UnavailableError(
            f"there are no weights of the {kind} at {file}: `make opponents` trains them; name them by codec.path="
        )
    load_state(model, load_tensors(file), file)
    card = file.with_name(FACES_CARD)
    parts = "/".join([str(_VERSION), file_digest(file), *decoders])
    return model, hashlib.sha256(parts.encode()).hexdigest(), card if card.is_file() else None


@checked_options("codec.")
def load_autoencoder(
    path: str | Path | None = None,
    quality: Quality = 50,
    target_bytes: Count | None = None,
    rounding: Rounding = ROUNDING,
) -> LearnedCodec:
    """Return the compressive autoencoder.

    Args:
        path: of a safetensors file; None for the weights that ship.
        quality: 0 to 100.
        target_bytes: of each file, at most.
        rounding: towards zero, by how much.

    Raises:
        ValueError: an option that cannot be used, or weights that are missing, damaged or another model's.
    """
    model, digest, card = _load("autoencoder", Autoencoder(), path)
    return LearnedCodec("autoencoder", model, digest, quality, target_bytes, rounding, card)


@checked_options("codec.")
def load_hyperprior(
    path: str | Path | None = None,
    quality: Quality = 50,
    target_bytes: Count | None = None,
    rounding: Rounding = ROUNDING,
) -> LearnedCodec:
    """Return the mean-scale hyperprior, as `load_autoencoder` does."""
    model, digest, card = _load("hyperprior", Hyperprior(), path)
    return LearnedCodec("hyperprior", model, digest, quality, target_bytes, rounding, card)


@checked_options("codec.")
def load_encoder(
    generator: Generator,
    path: str | Path | None = None,
    adversarial: bool = False,
    quality: Quality = 50,
    target_bytes: Count | None = None,
    rounding: Rounding = ROUNDING,
) -> LearnedCodec:
    """Return the encoder in front of the generator, or the one that an adversary trained, as `load_autoencoder` does.

    Args:
        generator: that it was trained in front of.
        path: of a safetensors file; None for the weights that ship.
        adversarial: which of the two.
        quality: 0 to 100.
        target_bytes: of each file, at most.
        rounding: towards zero, by how much.
    """
    if generator.image_size != IMAGE_SIZE:
        size = generator.image_size
        raise ValueError(f"the encoder draws {IMAGE_SIZE} x {IMAGE_SIZE} pictures, this generator {size} x {size}")
    kind: Kind = "adversarial" if adversarial else "encoder"
    model, digest, card = _load(kind, GeneratorEncoder(generator), path, generator.digest)
    return LearnedCodec(kind, model, digest, quality, target_bytes, rounding, card)
