"""`ganrev hash-rates --faces SHARD.tar …`: how often the perceptual hash of training faces errs."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from ganrev.contamination.card import shipped_card
from ganrev.contamination.hashes import SAME_PHOTOGRAPH, FaceHashes, hash_faces, hashes_path, load_hashes
from ganrev.data.celeba import CelebaSample
from ganrev.data.corpus import load_corpus
from ganrev.data.manifest import read_manifest
from ganrev.markdown import markdown_table
from ganrev.pixels import from_pillow, to_pillow
from ganrev.progress import ProgressBar

THRESHOLDS = (0.84, 0.86, 0.88, 0.9, 0.92, 0.94)
Change = Callable[[Image.Image], Image.Image]


def jpeg(quality: int) -> Change:
    """Return a change: write as JPEG and read again."""

    def change(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def resized(factor: float) -> Change:
    """Return a change: to another size and back."""

    def change(picture: Image.Image) -> Image.Image:
        size = (round(picture.width * factor), round(picture.height * factor))
        return picture.resize(size, Image.Resampling.LANCZOS).resize(picture.size, Image.Resampling.LANCZOS)

    return change


def warped(right: float = 0, down: float = 0, degrees: float = 0, scale: float = 1) -> Change:
    """Return a change: move by pixels, turn and enlarge about the middle; edges are repeated."""

    def change(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        warp = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
        warp[:, 2] += np.array([right, down])
        moved = cv2.warpAffine(np.asarray(picture), warp, picture.size, borderMode=cv2.BORDER_REPLICATE)
        return Image.fromarray(moved)

    return change


def cropped(edge: int) -> Change:
    """Return a change: cut pixels off all four sides and enlarge to the old size."""

    def change(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        inner = picture.crop((edge, edge, width - edge, height - edge))
        return inner.resize(picture.size, Image.Resampling.BICUBIC)

    return change


def center_cut(picture: Image.Image) -> Image.Image:
    """Return the crop that data.crop=center makes of the aligned image of this face, its missing margins repeated."""
    wide = np.pad(np.asarray(picture), ((37, 13), (25, 25), (0, 0)), mode="edge")
    return Image.fromarray(wide).resize(picture.size, Image.Resampling.LANCZOS)


def mirrored(picture: Image.Image) -> Image.Image:
    """Return the mirror image."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


CHANGES: dict[str, Change] = {
    "none": lambda picture: picture,
    "JPEG 80": jpeg(80),
    "JPEG 50": jpeg(50),
    "JPEG 30": jpeg(30),
    "half size and back": resized(0.5),
    "double size and back": resized(2),
    "1 px to the right": warped(1),
    "1 px right and down": warped(1, 1),
    "2 px down": warped(0, 2),
    "2 px left and up": warped(-2, -2),
    "2 px cut off each side": cropped(2),
    "brightness + 10 %": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "brightness - 10 %": lambda picture: ImageEnhance.Brightness(picture).enhance(0.9),
    "mirrored": mirrored,
    "turned by 2 degrees": warped(degrees=2),
    "turned by 2 degrees, 3 % larger, 1 px": warped(1, 1, 2, 1.03),
    "mirrored, 1 px, JPEG 50": lambda picture: jpeg(50)(warped(1, -1)(mirrored(picture))),
    "data.crop=center of the aligned image": center_cut,
}


def most_similar(hashes: FaceHashes, images: Tensor, label: str) -> Iterator[np.ndarray]:
    """Yield each picture's similarities to all hashed faces, with a progress bar."""
    return iter(ProgressBar(hashes.similarities(images), desc=label, total=len(images), unit="picture", leave=False))


def missed(hashes: FaceHashes, images: Tensor, faces: Sequence[int]) -> pd.DataFrame:
    """Return one line for each change: how many of some hashed faces stay below each threshold after it."""
    lines = []
    for label, change in CHANGES.items():
        changed = torch.stack([from_pillow(change(to_pillow(images[face]))) for face in faces])
        pairs = zip(most_similar(hashes, changed, label), faces, strict=True)
        lines.append(_line(label, np.array([row[face] for row, face in pairs]), lambda s, t: s < t, "smallest", np.min))
    return pd.DataFrame(lines)


def _line(label: str, similarities: np.ndarray, counts: Callable, extreme: str, reduce: Callable) -> dict:
    line = {"pictures": label, "n": len(similarities), extreme: f"{reduce(similarities):.3f}"}
    return line | {f"at {t}": f"{100 * counts(similarities, t).mean():.2f} %" for t in THRESHOLDS}


def confused(
    hashes: FaceHashes, images: Tensor, names: Sequence[str], hashed: Sequence[str], same: np.ndarray, label: str
) -> tuple[dict, list[str]]:
    """Return a line on pictures that are not among the hashed faces, and the pairs above the threshold in use.

    Args:
        hashes: of the training faces.
        images: uint8 [M, 3, 128, 128].
        names: M, of the pictures.
        hashed: N, of the hashed faces.
        same: bool [M, N], pairs that do not count since the person is the same.
        label: of the line.
    """
    largest, pairs = [], []
    for name, row, skip in zip(names, most_similar(hashes, images, label), same, strict=True):
        row = np.where(skip, -1, row)
        largest.append(row.max())
        if row.max() >= SAME_PHOTOGRAPH:
            pairs.append(f"{name} and {hashed[int(row.argmax())]} ({row.max():.3f})")
    return _line(label, np.array(largest), lambda s, t: s >= t, "largest", np.max), pairs


def measure(
    training_faces: Sequence[str],
    valid_faces: str,
    manifest: Path,
    hashes_file: Path,
    num_changed: int,
    num_others: int,
) -> str:
    """Measure everything; returns the table as Markdown.

    Args:
        training_faces: tar shards or folders.
        valid_faces: folder of faces that were not trained on.
        manifest: CSV with celeba_id and identity of the training faces.
        hashes_file: the stored hashes to compare with.
        num_changed: training faces that are changed.
        num_others: training faces that are compared with those of other people.
    """
    # Read and hash the training faces.
    names, images = load_corpus(list(training_faces))
    order = sorted(range(len(names)), key=names.__getitem__)
    names, images = [names[i] for i in order], images[order]
    hashes = hash_faces(images)
    people = _people(names, manifest)
    # Draw those that are changed, and pictures that are not among the hashed faces.
    rng = np.random.default_rng(0)
    faces = rng.choice(len(names), min(num_changed, len(names)), replace=False).tolist()
    others = rng.choice(len(names), min(num_others, len(names)), replace=False).tolist()
    valid_names, valid = load_corpus([valid_faces])
    sample = CelebaSample(limit=999).load()
    nobody = np.zeros((1, len(names)), bool)
    sets = [
        (valid, valid_names, np.repeat(nobody, len(valid), 0), "validation faces"),
        (sample.images, sample.names, np.repeat(nobody, len(sample), 0), "CelebA sample, official train partition"),
        (images[others], [names[i] for i in others], people[others, None] == people, "training faces, other people"),
    ]
    # Measure, and compare with the stored hashes.
    lines, pairs = zip(*(confused(hashes, i, n, names, same, label) for i, n, same, label in sets), strict=True)
    return "\n".join(
        [
            f"# How often the perceptual hash errs, {len(names):,} training faces\n",
            f"A picture counts as a training face from similarity {SAME_PHOTOGRAPH}. {_compare(hashes_file, hashes)}\n",
            "## Missed: training faces after a change, similarity to themselves below the threshold\n",
            _markdown(missed(hashes, images, faces)),
            "\n## Confused: pictures that were not trained on, largest similarity to any training face\n",
            _markdown(pd.DataFrame(lines)),
            f"\nPairs from {SAME_PHOTOGRAPH} on, to be looked at, since CelebA holds some photographs twice under two "
            f"people: {', '.join(pair for some in pairs for pair in some) or 'none'}.",
        ]
    )


def _people(names: Sequence[str], manifest: Path) -> np.ndarray:
    """Return the person on each face, int [N]; ValueError where the manifest does not have it."""
    identities = read_manifest(manifest)
    missing = [name for name in names if not name.isdigit() or int(name) not in identities]
    if missing:
        raise ValueError(f"--manifest={manifest} lacks {len(missing)} faces, the first {missing[0]}")
    return np.array([identities[int(name)] for name in names])


def _compare(hashes_file: Path, hashes: FaceHashes) -> str:
    """Return a sentence on whether a file holds these hashes."""
    agrees = np.array_equal(load_hashes(hashes_file).bits, hashes.bits)
    what = "are those of these faces" if agrees else "are of OTHER faces"
    return f"The hashes in `{hashes_file.name}`, {hashes_file.stat().st_size:,} bytes, {what}."


def _markdown(frame: pd.DataFrame) -> str:
    return markdown_table(frame.columns, frame.astype(str).to_numpy().tolist())


def write_rates(
    training_faces: Sequence[str],
    valid_faces: str,
    manifest: Path,
    output: Path,
    *,
    hashes: Path | None = None,
    num_changed: int = 300,
    num_others: int = 2000,
) -> None:
    """Print the table of `measure` and write it to `output`; `hashes` are the shipped ones unless given."""
    stored = hashes or hashes_path(shipped_card())
    text = measure(training_faces, valid_faces, manifest, stored, num_changed, num_others)
    output.write_text(text + "\n", encoding="utf-8")
    print(text)
