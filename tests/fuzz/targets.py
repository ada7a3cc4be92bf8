"""What is fuzzed, with files to begin from: files of codecs, and pictures. Others are in `file_targets`."""

import binascii
import io
import math
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from baselines.components import Basis
from baselines.kmeans import KMeans
from baselines.learned.codec import load_autoencoder, load_encoder, load_hyperprior
from baselines.learned.model import Kind
from baselines.newer import AVIF, HEIF, JPEG2000, JXL, WebP
from baselines.pca import PCA
from baselines.pillow import JPEG, PNG
from ganrev.codecs.base import Codec
from ganrev.codecs.latent_codec import LatentCodec
from ganrev.coding import backends, container
from ganrev.coding.frame import ContainerError
from ganrev.data.formats import decode_picture
from ganrev.data.png import SIGNATURE
from ganrev.generator.base import Levels
from ganrev.pixels import to_pillow
from tests.golden.make import BACK_ENDS, FOLDER, Table, TableGenerator, read_record
from tests.learned import write_weights
from tests.tiny import TinyGenerator, smooth_images, tiny_codec

_HEADERS = {1: 12, 2: 10, 3: 10}  # bytes of a .gr file's header, by version
_PCA_HEADER, _LRN_HEADER = 9, 7


@dataclass(frozen=True)
class Target:
    """One format.

    Attributes:
        name: for the table of results.
        seeds: whole files.
        decode: reads one.
        documented: what it may raise, and nothing else.
        header: size of a file's header, whose last two bytes are the checksum; None for a format without one.
        num_kept: first bytes that most mutants keep, since another magic hides all the rest.
        num_marked: bytes of the fingerprint in front of the checksum, which most mutants keep, too.
        allowance: memory in KiB that a good file of a mutant's declared size may take, beyond what the seeds take.
    """

    name: str
    seeds: Sequence[bytes]
    decode: Callable[[bytes], object]
    documented: type[Exception] = ValueError
    header: Callable[[bytes], int] | None = None
    num_kept: int = 0
    num_marked: int = container.FINGERPRINT_BYTES
    allowance: Callable[[bytes], int] = lambda blob: 0

    def with_checksum(self, blob: bytes) -> bytes:
        """Return a file with the checksums that its bytes should have."""
        if blob.startswith(SIGNATURE):
            return _with_png_checksums(blob)
        size = self.header(blob) if self.header else 0
        if not size or len(blob) < size:
            return blob
        head, payload = blob[: size - 2], blob[size:]
        return head + struct.pack("<H", binascii.crc_hqx(payload, binascii.crc_hqx(head, 0xFFFF))) + payload


def _with_png_checksums(blob: bytes) -> bytes:
    """Return a PNG whose chunks have the checksums that their bytes should have, as far as it has chunks."""
    done, place = [SIGNATURE], len(SIGNATURE)
    while place + 12 <= len(blob):
        length = int.from_bytes(blob[place : place + 4], "big")
        content = blob[place + 4 : place + 8 + length]
        if place + 12 + length > len(blob):
            break
        done += [blob[place : place + 4], content, binascii.crc32(content).to_bytes(4, "big")]
        place += 12 + length
    return b"".join([*done, blob[place:]])


class DrawingGenerator(TableGenerator):
    """Draws something at once: what costs time here is to be the decoder."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z[:, :3, None, None].float()).expand(-1, 3, self.image_size, self.image_size)


def _drawing_codec(num_latents: int, table: Table, levels: Levels) -> LatentCodec:
    generator = DrawingGenerator(num_latents, table, levels)
    return tiny_codec(generator=generator, entropy=backends.Store())


def gr_targets() -> list[Target]:
    """Return one target for each back end and version, from all golden files."""
    record = read_record()
    names = {back_end.code: name for name, back_end in BACK_ENDS.items()}
    decoders: dict[tuple[str, int], Callable[[bytes], object]] = {}
    groups: dict[tuple, list[bytes]] = defaultdict(list)
    for name, case in record["files"].items():
        blob = (FOLDER / name).read_bytes()
        content = container.read(blob)
        num_latents = len(record["vectors"][case["vector"]])
        levels: Levels = "all" if content.has_grid else "z"
        key = case["table"], num_latents
        if key not in decoders:
            decoders[key] = _decoder(_drawing_codec(num_latents, record["tables"][case["table"]], levels))
        label = f".gr v{content.version} {names[content.entropy_code]}"
        groups[label, *key].append(blob)
        assert decoders[key](blob) is not None
    return [
        Target(label, seeds, decoders[table, num_latents], ContainerError, _gr_header, 2)
        for (label, table, num_latents), seeds in groups.items()
    ]


def _decoder(codec: Codec) -> Callable[[bytes], object]:
    return lambda blob: codec.decode([blob])


def _gr_header(blob: bytes) -> int:
    return _HEADERS.get(blob[2] >> 4, 0) if len(blob) > 2 else 0


def pca_target() -> Target:
    """Return the target of `.pca` files."""
    rng = torch.Generator().manual_seed(0)
    rows = torch.linalg.qr(torch.randn(96, 48, generator=rng)).Q.T.half()
    deviations = 300 * 0.9 ** torch.arange(48.0)
    codec = PCA(Basis(torch.full((3, 8, 8), 128.0), rows[:24], rows[24:], deviations), step=20.0)
    steps = (4.0, 20.0, 100.0)
    seeds = [blob for step in steps for blob in PCA(codec.basis, step).encode(smooth_images(2, 8))]
    return Target(".pca", seeds, _decoder(codec), ContainerError, lambda blob: _PCA_HEADER, 3, 2)


def learned_targets(folder: Path) -> list[Target]:
    """Return targets of the learned codecs' `.lrn` files, of untrained weights that are written to this folder."""
    generator, images = TinyGenerator(size=128), smooth_images(2, 128)
    loaders: dict[Kind, Callable[..., Codec]] = {
        "autoencoder": load_autoencoder,
        "hyperprior": load_hyperprior,
        "encoder": partial(load_encoder, generator),
    }
    found = []
    for kind, load in loaders.items():
        load_one = partial(load, write_weights(kind, folder, generator))
        seeds = [blob for quality in (0, 50, 100) for blob in load_one(quality=quality).encode(images)]
        decode = _decoder(load_one())
        found.append(Target(f".lrn {kind}", seeds, decode, ContainerError, lambda blob: _LRN_HEADER, 2, 2))
    return found


def picture_targets() -> list[Target]:
    """Return targets of the files that Pillow reads for codecs, and of the reader of pictures."""
    images = smooth_images(2, 16)
    codecs = [JPEG(10), PNG(), KMeans(4), WebP(20), AVIF(20), JPEG2000(25)]
    codecs += [JXL(20)] if find_spec("pillow_jxl") else []
    codecs += [HEIF(20)] if find_spec("pillow_heif") else []
    found = [
        Target(f"{type(codec).__name__} codec", codec.encode(images), lambda blob, codec=codec: codec.decode([blob]))
        for codec in codecs
    ]
    seeds = []
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "PPM"):
        for mode in ("RGB", "L"):
            buffer = io.BytesIO()
            to_pillow(images[0]).convert(mode).save(buffer, format=kind)
            seeds.append(buffer.getvalue())
    return [*found, Target("picture files", seeds, decode_picture, allowance=_pixels_allowed)]


def _pixels_allowed(blob: bytes) -> int:
    """Return what the pixels of a picture file may take, in KiB: as Pillow holds them, and as RGB twice."""
    try:
        with Image.open(io.BytesIO(blob)) as picture:
            return (4 + 3 + 3) * math.prod(picture.size) >> 10
    except Exception:  # whatever Pillow raises, such a file may take nothing
        return 0
