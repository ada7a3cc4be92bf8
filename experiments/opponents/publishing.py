"""What a training leaves: float16 weights with the scale codes of their symbols, and a card."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from baselines.learned.codec import FACES_CARD, LearnedCodec
from baselines.learned.model import Kind, LearnedModel
from baselines.learned.rates import BEST_QUALITY, NUM_KNOTS, SPACING
from experiments.opponents.training import Recipe, Training
from ganrev.coding.range_coder import HIGHEST, LOWEST, code_lengths
from ganrev.contamination.card import ModelCard, celeba_numbers, write_card
from ganrev.contamination.hashes import write_hashes
from ganrev.data.manifest import read_manifest
from ganrev.evaluation.metrics import distortion
from ganrev.evaluation.provenance import provenance
from ganrev.files import write_whole
from ganrev.pixels import to_images, to_x
from ganrev.progress import ProgressBar
from ganrev.train.batches import deblur
from ganrev.train.card import CELEBA_LICENCE

_SHARPENED = 0.85  # the faces that are compressed are as sharp as CelebA's own
_LARGEST = 400  # symbols beyond it count as this one
_PRIOR_ONES = 0.1  # a symbol of one that is counted beside those of the faces: none is impossible
_NAMES: Mapping[Kind, str] = {
    "autoencoder": "compressive autoencoder after Theis et al. 2017",
    "hyperprior": "mean-scale hyperprior after Minnen et al. 2018",
    "encoder": "encoder in front of the frozen generator, after Santurkar et al. 2017",
    "adversarial": "the encoder trained further with an adversary, after Agustsson et al. 2018, generator frozen",
}


def sharpened(images: Tensor) -> Tensor:
    """Return uint8 faces as sharp as CelebA's own, of warped ones."""
    return to_images(deblur(to_x(images), torch.full((len(images),), _SHARPENED)))


@torch.no_grad()
def fit_codes(model: LearnedModel, faces: Tensor) -> None:
    """Measure on uint8 faces [N, 3, 128, 128] the scale codes of the symbols that nothing before them tells of."""
    lengths = np.stack([code_lengths(code, _LARGEST)[_LARGEST:] for code in range(LOWEST, HIGHEST + 1)])
    table = model.get_submodule("fixed_codes").get_buffer("table")
    for knot in ProgressBar(range(NUM_KNOTS), desc="counting symbols", leave=False):
        symbols = np.stack([model.symbols(to_x(face[None]), knot * SPACING)[0] for face in faces])
        sizes = np.minimum(np.abs(symbols), _LARGEST)
        counts = np.stack([np.bincount(column, minlength=_LARGEST + 1) for column in sizes.T]).astype(np.float64)
        counts[:, 1] += _PRIOR_ONES
        table[knot] = torch.from_numpy((counts @ lengths.T).argmin(axis=1) + LOWEST)


def save_model(model: LearnedModel, path: Path) -> Path:
    """Write float16 weights; returns their path. ValueError where a weight is not a finite float16 number."""
    tensors = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    broken = [name for name, value in tensors.items() if not value.isfinite().all()]
    if broken:
        raise ValueError(f"{', '.join(broken)} cannot be stored as finite float16 numbers; take a lower rate")
    write_whole(path, safetensors.torch.save(tensors))
    return path


def round_weights(model: LearnedModel) -> None:
    """Give a model the weights that it will be stored with: what is measured of it is then true of the file."""
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(value.half())


def scores_of(codec: LearnedCodec, faces: Tensor, qualities: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return mean bytes, PSNR in dB and SSIM of uint8 faces [N, 3, 128, 128] at some qualities."""
    scores = {}
    for quality in qualities:
        codec.quality, codec.target_bytes = quality, None
        blobs = codec.encode(faces)
        rows = [distortion(face, drawn) for face, drawn in zip(faces, codec.decode(blobs), strict=True)]
        means = {key: float(np.mean([row[key] for row in rows])) for key in ("psnr", "ssim")}
        means = {"bytes": float(np.mean([len(blob) for blob in blobs]))} | means
        scores[f"quality={quality}"] = {key: round(value, 4) for key, value in means.items()}
    return scores


def write_faces_card(
    out: Path, corpus: tuple[list[str], Tensor], valid_names: Sequence[str], manifest: Path | None
) -> None:
    """Write what all models were trained on, once: CelebA's numbers in `faces.json`, and hashes of the faces."""
    names, images = corpus
    people = {} if manifest is None else read_manifest(manifest)
    trained, tuned = celeba_numbers(names), celeba_numbers(valid_names)
    card = ModelCard(
        name="faces that the learned opponents were trained on",
        celeba_ids=trained,
        celeba_identities=sorted({people[i] for i in trained if i in people}),
        tuned_celeba_ids=tuned,
        tuned_celeba_identities=sorted({people[i] for i in tuned if i in people}),
    )
    write_card(card, out / FACES_CARD)
    write_hashes(names, images, out / FACES_CARD)


def write_model_card(
    kind: Kind,
    recipe: Recipe,
    codec: LearnedCodec,
    path: Path,
    sources: Sequence[str],
    valid: Tensor,
    training: Training,
) -> None:
    """Write the card of one model beside its weights.

    Args:
        kind: of the model.
        recipe: that it was trained by.
        codec: with the stored weights.
        path: of the weights.
        sources: of the training faces.
        valid: uint8 [N, 3, 128, 128] other faces, to score.
        training: finished.
    """
    faces = ", ".join(Path(source).name for source in sources)
    scores = scores_of(codec, valid, range(0, BEST_QUALITY + 1, SPACING))
    card = ModelCard(
        name=_NAMES[kind],
        picture="128 x 128 RGB, framed as img[57:185, 25:153] of an aligned CelebA image",
        parameters=sum(p.numel() for p in codec.model.parameters()),
        trained_on=f"the faces of {faces}, mirrored at random; their numbers are in {FACES_CARD}",
        command="python -m experiments.opponents --faces ... --valid ...",
        hours=round(training.seconds / 3600, 2),
        machine=provenance()["hardware"] | {"training threads": torch.get_num_threads()},
        torch=torch.__version__,
        recipe=asdict(recipe),
        licence=CELEBA_LICENCE,
        scores={"faces": f"{len(valid)} validation faces, sharpened as CelebA's own; whole files", **scores},
    )
    write_card(card, path.with_suffix(".json"))
