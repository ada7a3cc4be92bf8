"""The model card: what a generator, or a basis of faces, was trained on. One schema, read and written here alone."""

import dataclasses
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganrev.files import write_whole
from ganrev.paths import weights_dir

_FULL_LINE = 110  # characters after which no number is added to a line


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


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of trained weights, in the order in which it is written; None where a card does not say.

    The program itself reads only `unseen_scale` and the four lists; the rest is for readers.

    Attributes:
        name: of the network.
        unseen_scale: factor on z before rounding, where the generator did not draw the picture itself; above 0.
        latents: their number and distribution.
        latents_table: what the table of latents beside the weights was measured on.
        picture: its size and framing.
        parameters: number of weights.
        trained_on: the faces.
        command: line that trains such weights.
        hours: wall-clock time of the training.
        machine: processor, cores, threads, load, GPU and platform.
        torch: version.
        recipe: the options of the training.
        licence: of the weights.
        scores: mean SSIM, PSNR in dB and payload bytes on some faces, by the settings that they were compressed with.
        grid: of the latents beyond z, where there are any, the same: parameters, trained_on, command, hours, machine,
            torch, recipe, scores. All above is then about z alone.
        celeba_ids: CelebA's numbers of the faces trained on.
        celeba_identities: CelebA's numbers of the people on those.
        tuned_celeba_ids: faces never trained on, but used to choose settings and when to stop.
        tuned_celeba_identities: the people on those.
    """

    name: str | None = None
    unseen_scale: float | None = None
    latents: str | None = None
    latents_table: str | None = None
    picture: str | None = None
    parameters: int | None = None
    trained_on: str | None = None
    command: str | None = None
    hours: float | None = None
    machine: Mapping[str, Any] | None = None
    torch: str | None = None
    recipe: Mapping[str, Any] | None = None
    licence: str | None = None
    scores: Mapping[str, Any] | None = None
    grid: Mapping[str, Any] | None = None
    celeba_ids: Sequence[int] | None = None
    celeba_identities: Sequence[int] | None = None
    tuned_celeba_ids: Sequence[int] | None = None
    tuned_celeba_identities: Sequence[int] | None = None

    @property
    def known(self) -> KnownFaces:
        """The faces that the card lists; none where it lists none."""
        return KnownFaces(**{key: frozenset(getattr(self, key) or ()) for key in _LISTS})


_KEYS = tuple(field.name for field in dataclasses.fields(ModelCard))
_LISTS = tuple(field.name for field in dataclasses.fields(KnownFaces))


def shipped_card() -> Path:
    """Return the model card of the generator that ships with the package."""
    return weights_dir() / "embedded.json"


def celeba_numbers(names: Iterable[str]) -> list[int]:
    """Return the numbers of faces that are named as CelebA names its pictures: by six digits."""
    return sorted({int(name) for name in names if re.fullmatch("[0-9]{6}", name)})


def read_card(path: Path) -> ModelCard:
    """Read a model card; other keys are ignored.

    Fields for readers are not checked, so that cards written by hand can be read, too.

    Raises:
        ValueError: the card is missing or no JSON object, its scale is no positive number, or a list in it is not one
            of whole numbers.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the model card {path} cannot be read ({error}); restore it") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the model card {path} cannot be read, it is no JSON ({error}); restore it") from error
    if not isinstance(content, dict):
        raise ValueError(f"the model card {path} is no JSON object; restore it")
    for key in _LISTS:
        values = content.get(key, [])
        if not isinstance(values, list) or not all(type(value) is int for value in values):
            raise ValueError(f"{key} of the model card {path} must be a list of whole numbers")
    scale = content.get("unseen_scale")
    if "unseen_scale" in content and not _is_positive(scale):
        raise ValueError(f"unseen_scale of the model card {path} must be a positive number, got {scale!r}")
    return ModelCard(**{key: content[key] for key in _KEYS if key in content})


def write_card(card: ModelCard, path: Path) -> None:
    """Write the fields of a model card that are set as JSON, in their order."""
    content = {key: getattr(card, key) for key in _KEYS if getattr(card, key) is not None}
    write_whole(path, (_join_numbers(json.dumps(content, indent=1)) + "\n").encode())


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _join_numbers(text: str) -> str:
    """Put runs of bare numbers on one line: thousands of ids, one on each, hide the rest of the card."""
    lines: list[str] = []
    for line in text.splitlines():
        bare = line.strip().rstrip(",").isdigit()
        if bare and lines and len(lines[-1]) < _FULL_LINE and lines[-1].split()[-1].rstrip(",").isdigit():
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    return "\n".join(lines)
