"""The faces that a generator knows, by CelebA's numbers: its model card lists them."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganrev.paths import weights_dir

# Keys of a card and fields of `KnownFaces`.
_KEYS = ("celeba_ids", "celeba_identities", "tuned_celeba_ids", "tuned_celeba_identities")


@dataclass(frozen=True)
class KnownFaces:
    """CelebA's numbers of faces, and of the people on them.

    Attributes:
        celeba_ids: the generator was trained on these.
        celeba_identities: on pictures of these people.
        tuned_celeba_ids: never trained on, but used to choose settings and when to stop.
        tuned_celeba_identities: the people on those.
    """

    celeba_ids: frozenset[int] = frozenset()
    celeba_identities: frozenset[int] = frozenset()
    tuned_celeba_ids: frozenset[int] = frozenset()
    tuned_celeba_identities: frozenset[int] = frozenset()

    @property
    def all_ids(self) -> frozenset[int]:
        """Faces trained or tuned on."""
        return self.celeba_ids | self.tuned_celeba_ids

    @property
    def all_identities(self) -> frozenset[int]:
        """People trained or tuned on."""
        return self.celeba_identities | self.tuned_celeba_identities


def celeba_numbers(names: Iterable[str]) -> list[int]:
    """Return the numbers of faces that are named as CelebA names its pictures: by six digits."""
    return sorted({int(name) for name in names if re.fullmatch("[0-9]{6}", name)})


def shipped_card() -> Path:
    """Return the model card of the generator that ships with the package."""
    return weights_dir() / "embedded.json"


def read_known(card: Path) -> KnownFaces:
    """Return the faces that a model card lists; none where it lists none.

    Raises:
        ValueError: the card is missing or no JSON object, or a list in it is not one of whole numbers.
    """
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"the model card {card} cannot be read ({error}); restore it") from error
    if not isinstance(content, dict):
        raise ValueError(f"the model card {card} is no JSON object; restore it")
    numbers = {key: content.get(key, []) for key in _KEYS}
    for key, values in numbers.items():
        if not isinstance(values, list) or not all(type(value) is int for value in values):
            raise ValueError(f"{key} of the model card {card} must be a list of whole numbers")
    return KnownFaces(**{key: frozenset(values) for key, values in numbers.items()})
