"""Finds test pictures that a codec was trained on."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ganrev.contamination.card import KnownFaces, read_card
from ganrev.contamination.hashes import SAME_PHOTOGRAPH, all_hashes_paths, hashes_path, load_hashes
from ganrev.data.pictures import Pictures

_logger = logging.getLogger(__name__)

_NUM_NAMED = 5  # pictures that a message names


@dataclass(frozen=True)
class Overlap:
    """Pictures that a generator was, or may have been, trained on, by name, each with the reason.

    Attributes:
        trained_on: found by number, by person, or, where CelebA's number is unknown, by perceptual hash.
        alike: pictures that look like a face trained on, though their numbers say otherwise: CelebA holds some
            photographs twice, under different people and in different partitions.
        num_unchecked: number of pictures that could not be compared: there is no card, or there are no hashes for a
            picture whose number is unknown.
    """

    trained_on: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    num_unchecked: int = 0


def find_overlap(pictures: Pictures, card: Path) -> Overlap:
    """Compare pictures with what a model card and the hashes beside it list.

    Raises:
        ValueError: the card or the hashes are damaged.
    """
    known = read_card(card).known
    trained_on = _by_number(pictures, known)
    alike: dict[str, str] = {}
    paths = all_hashes_paths(card)
    if not paths:
        num_unchecked = pictures.celeba_ids.count(None)
        if num_unchecked:
            _logger.warning(
                "%s is missing: pictures of unknown origin are not compared with the training faces", hashes_path(card)
            )
        return Overlap(trained_on, num_unchecked=num_unchecked)
    for path in paths:
        hashes = load_hashes(path)
        # The hashes are in the order of the ids, where every face has one.
        ids = sorted(known.celeba_ids) if len(paths) == 1 and len(known.celeba_ids) == len(hashes) else None
        for index, similarities in enumerate(hashes.similarities(pictures.images)):
            name, nearest = pictures.names[index], int(np.argmax(similarities))
            if name in trained_on or name in alike or similarities[nearest] < SAME_PHOTOGRAPH:
                continue
            face = f"CelebA {ids[nearest]:06d}" if ids else f"number {nearest + 1}"
            reason = f"it looks like training face {face} (similarity {similarities[nearest]:.2f})"
            (trained_on if pictures.celeba_ids[index] is None else alike)[name] = reason
    return Overlap(trained_on, alike)


def refuse(trained_on: Mapping[str, str]) -> None:
    """Raise ValueError if any picture was trained on; given are their names with the reason for each."""
    if not trained_on:
        return
    listed = "; ".join(f"{name}: {reason}" for name, reason in list(trained_on.items())[:_NUM_NAMED])
    more = f"; and {len(trained_on) - _NUM_NAMED} more" if len(trained_on) > _NUM_NAMED else ""
    verb = "picture was" if len(trained_on) == 1 else "pictures were"
    raise ValueError(
        f"{len(trained_on)} {verb} among those that the codec was trained on, so that their scores would flatter "
        f"it: {listed}{more}. Take other pictures, or another codec; data.allow_seen_in_training=true takes them "
        "all the same, and the results then say so"
    )


def _by_number(pictures: Pictures, known: KnownFaces) -> dict[str, str]:
    """Return name and reason of each picture whose number, or whose person, was trained on."""
    trained_on = {}
    identities = pictures.celeba_identities or [None] * len(pictures)
    for name, celeba_id, identity in zip(pictures.names, pictures.celeba_ids, identities, strict=True):
        if celeba_id in known.celeba_ids:
            trained_on[name] = f"CelebA {celeba_id:06d} was trained on"
        elif identity in known.celeba_identities:
            trained_on[name] = f"its person, CelebA's identity {identity}, was trained on"
    return trained_on
