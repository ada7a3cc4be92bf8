"""Perceptual hashes of faces: does a picture come from a photograph that is among these?

A hash is 128 signs: is each of the lowest frequencies of the grey picture above its median over all hashed faces?
Medians, because aligned faces are so similar that fixed thresholds would give all of them the same bits. A picture is
compared by its own, unrounded frequencies: one close to the median has little weight, whichever side it is on.
The picture is moved, scaled and mirrored a little; the stored hashes are those of the upright faces.
`ganrev hash-rates` measures how often it errs.
"""

import glob
import io
import math
import struct
import tokenize
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import cv2
import numpy as np
from scipy.fft import dctn
from torch import Tensor

from ganrev.files import open_whole

NUM_BITS = 128
# Measured (results/reference/hash_rates.md), and chosen on the same pictures: other photographs stay below 0.9, copies
# lie above, but for a few that were turned. Two pictures of CelebA's train partition lie above as well, 000122 and
# 000693, and rightly: they are the training faces 184138 and 193561 once more.
SAME_PHOTOGRAPH = 0.9

_ARRAYS = ("bits", "center", "spread")
_HEADER = 512  # bytes of an array's header, four times what numpy writes
# What zipfile and numpy raise on a damaged file.
_DAMAGED = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    BadZipFile,
    NotImplementedError,
    RuntimeError,  # also RecursionError, of a header that is nested too deeply
    MemoryError,  # the parser's stack, likewise
    OverflowError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
)
_SIDE = 128  # pictures are compared at this size,
_SMALL = 32  # and their frequencies are those of this one
_SHIFTS = (-2, 0, 2)  # pixels
_SCALES = (0.96, 1.0, 1.04)
# CelebA's aligned images are 178 x 218. data.crop=center cuts their middle square; the generator's faces are
# 128 pixels of it, from here.
_CENTER_CUT, _FACE_LEFT, _FACE_UPPER = 178, 25, 37

_u, _v = np.meshgrid(np.arange(_SMALL), np.arange(_SMALL), indexing="ij")
_FREQUENCIES = np.lexsort((_u.ravel(), (_u + _v).ravel()))[1 : NUM_BITS + 1]  # diagonal by diagonal, without the mean
_MIRROR = np.where(_v.ravel()[_FREQUENCIES] % 2, -1, 1)  # what mirroring does to them


@dataclass(frozen=True, eq=False)
class FaceHashes:
    """Hashes of N faces.

    Attributes:
        bits: uint8 [N, 16].
        center: float32 [128], medians of the frequencies over the faces.
        spread: float32 [128], their standard deviations, positive.

    Raises:
        ValueError: other shapes or types.
    """

    bits: np.ndarray
    center: np.ndarray
    spread: np.ndarray

    def __post_init__(self) -> None:
        shapes = (self.bits.shape[1:], self.center.shape, self.spread.shape)
        if shapes != ((NUM_BITS // 8,), (NUM_BITS,), (NUM_BITS,)) or self.bits.dtype != np.uint8:
            raise ValueError(f"expected uint8 hashes of {NUM_BITS} bits, got {self.bits.dtype} and shapes {shapes}")
        if not (np.isfinite(self.center).all() and np.isfinite(self.spread).all() and (self.spread > 0).all()):
            raise ValueError("expected finite medians and positive deviations of the hashed frequencies")

    def __len__(self) -> int:
        return len(self.bits)

    def similarities(self, images: Tensor) -> Iterator[np.ndarray]:
        """Yield for each of uint8 [M, 3, H, H] how much it is like each hashed face, float32 [N] in [-1, 1]."""
        signs = np.unpackbits(self.bits, axis=1).astype(np.float32).T * 2 - 1
        for image in images:
            deviations = (_frequencies(_views(_grey(image))) - self.center) / self.spread
            deviations = np.concatenate([deviations, _mirrored(deviations, self.center, self.spread)])
            weights = deviations / np.abs(deviations).sum(axis=1, keepdims=True)
            yield (weights.astype(np.float32) @ signs).max(axis=0)

    def save(self, path: Path) -> Path:
        """Write an .npz file; returns its path."""
        with open_whole(path) as file:
            np.savez(file, bits=self.bits, center=self.center, spread=self.spread)
        return path


def hash_faces(images: Tensor) -> FaceHashes:
    """Hash faces, uint8 [N, 3, H, H] with N at least 1."""
    frequencies = np.concatenate([_frequencies(_shrink(_grey(image)[None])) for image in images])
    center = np.median(frequencies, axis=0).astype(np.float32)
    spread = np.maximum(frequencies.std(axis=0), 1e-6).astype(np.float32)
    return FaceHashes(np.packbits(frequencies > center, axis=1), center, spread)


def load_hashes(path: Path) -> FaceHashes:
    """Read what `FaceHashes.save` wrote; ValueError where it is damaged or something else."""
    try:
        with ZipFile(path) as archive:
            return FaceHashes(*(_read_array(archive, key, path.stat().st_size) for key in _ARRAYS))
    except _DAMAGED as error:
        raise ValueError(f"{path} is no file of face hashes ({error}); restore it") from error


def _read_array(archive: ZipFile, key: str, most: int) -> np.ndarray:
    """Return one array of an .npz file; ValueError where it asks for more than `most` bytes.

    numpy would allocate whatever the array's header names, and unpack whatever the archive holds; what `save` writes
    is not compressed, so that no array is larger than the file.
    """
    member = archive.getinfo(f"{key}.npy")
    if member.file_size > most:
        raise ValueError(f"{key} would take {member.file_size} bytes of a file of {most}")
    data = io.BytesIO(archive.read(member))
    np.lib.format.read_magic(data)
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(data, max_header_size=_HEADER)
    values = data.read()
    if dtype.hasobject or by_columns or math.prod(shape) * dtype.itemsize != len(values):
        raise ValueError(f"{key} has {len(values)} bytes for {dtype} of shape {shape}")
    return np.frombuffer(values, dtype).reshape(shape)


def hashes_path(weights_or_card: Path) -> Path:
    """Return where the hashes of the faces trained on lie, beside weights and card."""
    return weights_or_card.with_suffix(".hashes.npz")


def all_hashes_paths(weights_or_card: Path) -> list[Path]:
    """Return the files of hashes beside weights: of the faces trained on, and of those its start was trained on.

    They stay apart (`<name>.hashes.npz`, `<name>.hashes-1.npz` ...), each with medians of its own.
    """
    main = hashes_path(weights_or_card)
    earlier = sorted(main.parent.glob(f"{glob.escape(main.stem)}-*.npz"))
    return [path for path in (main, *earlier) if path.exists()]


def write_hashes(names: Sequence[str], images: Tensor, weights: Path) -> Path:
    """Write hashes of the faces trained on beside the weights, in the order of their names; returns the path.

    Args:
        names: of the faces.
        images: uint8 [N, 3, H, H].
        weights: path of the weights, or of their card.
    """
    order = sorted(range(len(names)), key=names.__getitem__)
    return hash_faces(images[order]).save(hashes_path(weights))


def _grey(image: Tensor) -> np.ndarray:
    """Turn uint8 [3, H, H] into float32 [128, 128]."""
    grey = cv2.cvtColor(np.ascontiguousarray(image.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY)
    if grey.shape != (_SIDE, _SIDE):
        smoothly = cv2.INTER_AREA if grey.shape[0] > _SIDE else cv2.INTER_CUBIC
        grey = cv2.resize(grey, (_SIDE, _SIDE), interpolation=smoothly)
    return grey.astype(np.float32)


def _views(grey: np.ndarray) -> np.ndarray:
    """Return the picture in every scale and position that is searched, shrunk, float32 [V, 32, 32]."""
    middle = (_SIDE - 1) / 2
    warps = [cv2.getRotationMatrix2D((middle, middle), 0, scale) for scale in _SCALES]
    zoom = _CENTER_CUT / _SIDE
    warps.append(np.array([[zoom, 0, -_FACE_LEFT], [0, zoom, -_FACE_UPPER]]))
    edge = max(_SHIFTS)
    views = []
    for warp in warps:
        scaled = cv2.warpAffine(grey, warp, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        wide = np.pad(scaled, edge, mode="edge")
        views += [wide[edge + y :, edge + x :][:_SIDE, :_SIDE] for y in _SHIFTS for x in _SHIFTS]
    return _shrink(np.stack(views))


def _shrink(grey: np.ndarray) -> np.ndarray:
    """Average blocks: [V, 128, 128] to [V, 32, 32]."""
    block = _SIDE // _SMALL
    return grey.reshape(-1, _SMALL, block, _SMALL, block).mean(axis=(2, 4))


def _frequencies(small: np.ndarray) -> np.ndarray:
    """Return the hashed frequencies of [V, 32, 32], of unit norm: brightness and contrast do not count."""
    chosen = dctn(small, axes=(1, 2), norm="ortho").reshape(len(small), -1)[:, _FREQUENCIES]
    return chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-6)


def _mirrored(deviations: np.ndarray, center: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return the deviations that the mirrored pictures have."""
    return ((deviations * spread + center) * _MIRROR - center) / spread
