"""Principal components of faces, fitted once and kept in the cache."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ganrev.contamination.card import ModelCard, celeba_numbers, write_card
from ganrev.contamination.hashes import write_hashes
from ganrev.data.corpus import check_sources, load_corpus
from ganrev.files import write_whole
from ganrev.locks import locked
from ganrev.paths import cache_dir
from ganrev.progress import ProgressBar

IMAGE_SIZE = 128

_FIT_VERSION = 1  # raised whenever the same faces would give another basis
_CHUNK = 512  # faces in one matrix product
_PASSES = 3  # over the faces
_ROWS = 256  # components in float32 at a time


@dataclass(frozen=True, eq=False)
class Basis:
    """Orthonormal components of faces and their mirror images.

    Mirroring maps that set onto itself, so each component either stays as it is or changes its sign. Folded along the
    vertical axis, the one kind has values only in the sum of the two sides, the other only in their difference: half
    of the numbers need to be found and kept, and the mirror images cost nothing.

    Attributes:
        mean: float32 [3, H, H] in grey levels, H even.
        even: float16 [K1, 3 * H * H / 2], components that mirroring keeps, over the sum of the sides. Float16 moves
            a component by some 2e-4 of its length, a hundredth of a grey level in the picture at most, and both ends
            use the same numbers.
        odd: float16 [K2, 3 * H * H / 2], those whose sign it changes, over the difference of the sides.
        deviations: float32 [K1 + K2] in grey levels, standard deviations of the Laplace laws that fit the
            coefficients of the faces best.
        card: the JSON file that lists the CelebA pictures fitted to, as a generator's does; None if there is none.

    Raises:
        ValueError: other shapes or dtypes.
    """

    mean: Tensor
    even: Tensor
    odd: Tensor
    deviations: Tensor
    card: Path | None = None

    def __post_init__(self) -> None:
        side, half = self.image_size, self.mean.numel() // 2
        shapes = [tuple(value.shape) for value in self.tensors.values()]
        expected = [(3, side, side), (len(self.even), half), (len(self.odd), half), (len(self.even) + len(self.odd),)]
        dtypes = [value.dtype for value in self.tensors.values()]
        if shapes != expected or side % 2 or dtypes != [torch.float32, torch.float16, torch.float16, torch.float32]:
            raise ValueError(f"mean, even, odd and deviations do not make a basis: shapes {shapes}, dtypes {dtypes}")

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What is stored."""
        return {"mean": self.mean, "even": self.even, "odd": self.odd, "deviations": self.deviations}

    @property
    def image_size(self) -> int:
        """Side of the pictures, in pixels."""
        return self.mean.shape[-1]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tensors, hexadecimal."""
        digest = hashlib.sha256()
        for value in self.tensors.values():
            digest.update(str(tuple(value.shape)).encode())
            digest.update(value.flatten().numpy().data)
        return digest.hexdigest()

    def coefficients(self, images: Tensor) -> Tensor:
        """Return float32 [N, K1 + K2] in grey levels for uint8 [N, 3, H, H]."""
        found = []
        for half, rows in zip((self.even, self.odd), _fold(images - self.mean), strict=True):
            for part in half.split(_ROWS):
                exact = part.float()
                # One picture at a time: a product of several rounds differently, and so might the symbols.
                found.append(torch.stack([exact @ row for row in rows]))
        return torch.cat(found, dim=1)

    def draw(self, coefficients: Tensor) -> Tensor:
        """Return uint8 [3, H, H] for the coefficients of one picture, float32 [K1 + K2]."""
        parts = coefficients.split([len(self.even), len(self.odd)])
        sides: list[Tensor] = []
        for half, values in zip((self.even, self.odd), parts, strict=True):
            used = values.nonzero().flatten()
            sides.append(values[used] @ half[used].float())
        picture = self.mean + _unfold(sides[0], sides[1], self.image_size)
        return picture.clamp(0, 255).round().to(torch.uint8)


def _fold(x: Tensor) -> Tensor:
    """Rotate float [N, 3, H, H] to sum and difference of left and mirrored right side, [2, N, 3 * H * H / 2]."""
    left, right = (x * math.sqrt(0.5)).chunk(2, dim=-1)
    right = right.flip(-1)
    return torch.stack((left + right, left - right)).flatten(2)


def _unfold(even: Tensor, odd: Tensor, side: int) -> Tensor:
    """Undo `_fold` for one picture: two [D] to [3, H, H]."""
    left, right = ((value * math.sqrt(0.5)).view(3, side, side // 2) for value in (even + odd, even - odd))
    return torch.cat((left, right.flip(-1)), dim=-1)


def fit(images: Tensor, num_components: int, seed: int = 0) -> Basis:
    """Find the principal components of faces and their mirror images.

    Args:
        images: uint8 [N, 3, H, H], H even.
        num_components: how many to keep, the widest; at most N.
        seed: of the random start.

    Raises:
        ValueError: fewer faces than components.
    """
    if num_components > min(len(images), images[0].numel() // 2):
        raise ValueError(
            f"{len(images)} faces of {images.shape[-1]} pixels cannot give {num_components} components: "
            "take more faces, or fewer by codec.components="
        )
    mean = images.sum(0) / len(images)
    mean = (mean + mean.flip(-1)) / 2
    with ProgressBar(total=_PASSES * len(images), desc="fitting components", unit="face") as bar:
        found, deviations = _fit_halves(images, mean, num_components, seed, bar)
    widest = deviations.flatten().argsort(descending=True)[:num_components].sort().values
    even, odd = (found[half, widest[widest // num_components == half] % num_components] for half in range(2))
    return Basis(mean, even.half(), odd.half(), deviations.flatten()[widest])


def _fit_halves(
    images: Tensor, mean: Tensor, num_components: int, seed: int, bar: ProgressBar
) -> tuple[Tensor, Tensor]:
    """Return components of the folded faces, float32 [2, K, 3 * H * H / 2], and their deviations [2, K].

    Random mixtures of the faces are multiplied by the faces' covariance once, and the principal components are
    sought within what they span. That is inexact for the narrowest, but `fit` keeps only half of these.
    Source: Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1.
    """

    def chunks() -> Iterator[Tensor]:
        for part in images.split(_CHUNK):
            yield _fold(part - mean)
            bar.update(len(part))

    rng = torch.Generator().manual_seed(seed)
    span = torch.zeros(2, mean.numel() // 2, num_components)
    for rows in chunks():
        span.baddbmm_(rows.mT, torch.randn(2, rows.shape[1], num_components, generator=rng))
    basis = torch.linalg.qr(span).Q
    span.zero_()
    for rows in chunks():
        span.baddbmm_(rows.mT, rows @ basis)
    basis = torch.linalg.qr(span).Q
    coefficients = torch.cat([rows @ basis for rows in chunks()], dim=1)
    exact = coefficients.double()  # the widest component has ten thousand times the variance of the narrowest
    rotation = torch.linalg.eigh(exact.mT @ exact).eigenvectors.float()
    # The Laplace law that makes the coefficients most likely has their mean magnitude times sqrt(2) as deviation.
    deviations = (coefficients @ rotation).abs().mean(1) * math.sqrt(2)
    return (basis @ rotation).mT, deviations


def load_basis(faces: Sequence[str | Path] | None, num_components: int, seed: int = 0) -> Basis:
    """Fit a basis to faces, or read it from the cache if that was done before; raises what `load_pca` does.

    Beside the basis lie its card and hashes of the faces, so that none of them is taken as a test picture
    (`ganrev.evaluation.overlap`).
    """
    sources = _check_sources(faces)
    path = cache_dir() / "pca" / f"{_cache_name(sources, num_components, seed)}.safetensors"
    card = path.with_suffix(".json")
    if not (path.is_file() and card.is_file()):  # before the lock: a cache may be read-only
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock"), "name a folder on a local disk in GANREV_CACHE"):
            if not (path.is_file() and card.is_file()):  # unless another process was first
                names, images = load_corpus(sources, IMAGE_SIZE)
                # Readable for others, unlike save_file's.
                write_whole(path, safetensors.torch.save(fit(images, num_components, seed).tensors))
                write_hashes(names, images, path)
                write_card(ModelCard(celeba_ids=celeba_numbers(names)), card)
    try:
        return Basis(**safetensors.torch.load_file(path), card=card)
    except (safetensors.SafetensorError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it, and it is fitted again") from error


def _check_sources(faces: object) -> list[Path]:
    """Return the places of the faces; ValueError unless there are some and all of them are there."""
    if faces is None:
        raise ValueError(
            "codec=pca fits its components to training faces, which do not ship with it: name some by "
            f"codec.faces=[train-0.tar,more/], tar shards or folders of at least codec.components= faces of "
            f"{IMAGE_SIZE} x {IMAGE_SIZE} pixels, none of which is a test picture. The first run fits them and "
            "keeps the result"
        )
    return check_sources(faces, "codec.faces", IMAGE_SIZE)


def _cache_name(sources: list[Path], num_components: int, seed: int) -> str:
    """Name a basis by what it is fitted from: the files' bytes, which are hashed faster than decoded to pixels.

    The names in a folder count too: the card takes the numbers of faces from them.
    """
    parts = []
    for source in sources:
        is_dir = source.is_dir()
        for path in sorted(p for p in source.iterdir() if p.is_file()) if is_dir else [source]:
            with path.open("rb") as file:
                parts.append(hashlib.file_digest(file, "sha256").hexdigest())
            parts += [path.name] * is_dir
    identity = [_FIT_VERSION, num_components, seed, *parts]
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
