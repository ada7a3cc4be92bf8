"""Which test pictures has the generator been trained on?"""

import glob
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ganrev.data.known import KnownFaces, read_known
from ganrev.data.pictures import Pictures
from ganrev.facehash import SAME_PHOTOGRAPH, load_hashes

_logger = logging.getLogger(__name__)

_NUM_SHOWN = 5  # pictures that a message names


@dataclass(frozen=True)
class Overlap:
    """Pictures that a generator knows, by name, each with the reason.

    Attributes:
        seen: trained on, by number, by person, or, where CelebA's number is unknown, by the look of the picture.
        alike: looks like a face trained on, though its number says otherwise: CelebA holds some photographs twice,
            under different people and in different partitions.
        num_unchecked: how many pictures there was nothing to compare with: no card, or no hashes for a picture whose
            number is unknown.
    """

    seen: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    num_unchecked: int = 0


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


def find_overlap(pictures: Pictures, card: Path) -> Overlap:
    """Compare pictures with what a model card and the hashes beside it list.

    Raises:
        ValueError: the card or the hashes are damaged.
    """
    known = read_known(card)
    seen = _by_number(pictures, known)
    alike: dict[str, str] = {}
    paths = all_hashes_paths(card)
    if not paths:
        num_unchecked = pictures.celeba_ids.count(None)
        if num_unchecked:
            _logger.warning(
                "%s is missing: pictures of unknown origin are not compared with the training faces", hashes_path(card)
            )
        return Overlap(seen, num_unchecked=num_unchecked)
    for path in paths:
        hashes = load_hashes(path)
        # The hashes are in the order of the ids, where every face has one.
        ids = sorted(known.celeba_ids) if len(paths) == 1 and len(known.celeba_ids) == len(hashes) else None
        for index, similarities in enumerate(hashes.similarities(pictures.images)):
            name, nearest = pictures.names[index], int(np.argmax(similarities))
            if name in seen or name in alike or similarities[nearest] < SAME_PHOTOGRAPH:
                continue
            face = f"CelebA {ids[nearest]:06d}" if ids else f"number {nearest + 1}"
            reason = f"it looks like training face {face} (similarity {similarities[nearest]:.2f})"
            (seen if pictures.celeba_ids[index] is None else alike)[name] = reason
    return Overlap(seen, alike)


def refuse(seen: Mapping[str, str]) -> None:
    """Raise ValueError if there is any such picture."""
    if not seen:
        return
    listed = "; ".join(f"{name}: {reason}" for name, reason in list(seen.items())[:_NUM_SHOWN])
    more = f"; and {len(seen) - _NUM_SHOWN} more" if len(seen) > _NUM_SHOWN else ""
    verb = "picture was" if len(seen) == 1 else "pictures were"
    raise ValueError(
        f"{len(seen)} {verb} among those that the generator was trained on, so that their scores would flatter it: "
        f"{listed}{more}. Take other pictures, or another generator; data.allow_seen_in_training=true takes them "
        "all the same, and the results then say so"
    )


def _by_number(pictures: Pictures, known: KnownFaces) -> dict[str, str]:
    """Return name and reason of each picture whose number, or whose person, was trained on."""
    seen = {}
    identities = pictures.celeba_identities or [None] * len(pictures)
    for name, celeba_id, identity in zip(pictures.names, pictures.celeba_ids, identities, strict=True):
        if celeba_id in known.celeba_ids:
            seen[name] = f"CelebA {celeba_id:06d} was trained on"
        elif identity in known.celeba_identities:
            seen[name] = f"its person, CelebA's identity {identity}, was trained on"
    return seen
