"""What is fuzzed beside files of codecs and pictures: weights, what lies beside them, and the records of runs."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from ganrev.contamination.card import ModelCard, read_card, write_card
from ganrev.contamination.hashes import hash_faces, load_hashes
from ganrev.evaluation.run_folder import RunFolder
from ganrev.generator.face_prior import FacePrior, load_face_prior, save_face_prior
from ganrev.generator.weights import load_checkpoint, load_state, load_tensors
from tests.fuzz.targets import Target, gr_targets, learned_targets, pca_target, picture_targets
from tests.tiny import smooth_images

_RUN = Path(__file__).resolve().parents[1] / "stored_runs/runs/gancodec-5022307c2578"


def file_targets(folder: Path) -> list[Target]:
    """Return targets of model cards, weights, densities and hashes, which are read from a file in this folder."""
    card, weights, hashes = (folder / name for name in ("card", "weights", "hashes"))
    checkpoint = folder / "checkpoint"
    write_card(ModelCard(name="x", unseen_scale=4.0, celeba_ids=[1, 2], celeba_identities=[3]), card)
    weights.write_bytes(safetensors.torch.save({"a": torch.arange(12.0).view(3, 4), "b": torch.ones(2).half()}))
    hash_faces(smooth_images(3, 128)).save(hashes)
    torch.save({"weight": torch.ones(1, 2), "bias": torch.ones(1)}, checkpoint)
    density = save_face_prior(_density(), weights).read_bytes()
    trial = folder / "trial"
    reads = partial(_reads, trial)

    def load_weights(path: Path) -> None:
        load_state(nn.Linear(2, 1, device="meta"), load_checkpoint(path), path)

    def draw(path: Path) -> Tensor:
        return load_face_prior(path).sample(1, torch.Generator().manual_seed(0))

    def reads_member(blob: bytes) -> object:
        """Read hashes one of whose arrays is this: no checksum of the archive is in the way."""
        with zipfile.ZipFile(hashes) as whole, zipfile.ZipFile(trial, "w") as changed:
            for name in whole.namelist():
                changed.writestr(name, blob if name == "bits.npy" else whole.read(name))
        return load_hashes(trial)

    with zipfile.ZipFile(hashes) as archive:
        member = archive.read("bits.npy")
    return [
        Target("array of hashes .npz", [member], reads_member),
        Target("model card", [card.read_bytes(), json.dumps({"celeba_ids": []}).encode()], reads(read_card)),
        Target("torch checkpoint", [checkpoint.read_bytes()], reads(load_weights)),
        Target("density of faces", [density], reads(draw)),
        Target("safetensors", [weights.read_bytes()], reads(load_tensors)),
        Target("hashes .npz", [hashes.read_bytes()], reads(load_hashes)),
    ]


def _reads(trial: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return a decoder of bytes that are to be read from a file."""

    def decode(blob: bytes) -> object:
        trial.write_bytes(blob)
        return read(trial)

    return decode


def _density() -> FacePrior:
    return FacePrior(
        leading=torch.tensor([0, 2]),
        shares=torch.tensor([0.5, 0.5]),
        means=torch.zeros(2, 2),
        factors=torch.eye(2).expand(2, 2, 2).contiguous(),
        slope=torch.zeros(1, 2),
        offset=torch.zeros(1),
        rest_factor=torch.ones(1, 1),
        stretch=torch.zeros(2),
        rest_stretch=torch.zeros(6),
    )


def record_targets(folder: Path) -> list[Target]:
    """Return targets of the files that a stored run consists of, in a copy of one in this folder."""
    run = RunFolder(shutil.copytree(_RUN, folder / "run"))
    readers: dict[str, Callable[[RunFolder], object]] = {
        "config.yaml": lambda run: run.config,
        "rows.csv": lambda run: run.rows,
        "summary.json": lambda run: run.summary,
        "traces.npz": lambda run: run.traces,
        "SHA256SUMS": lambda run: run.find_damage(),
    }
    run.write_summary(run.summary)  # the list of sums is younger than this run
    found = []
    for name, read in readers.items():
        file = run.path / name
        seed = file.read_bytes()

        def decode(blob: bytes, file: Path = file, seed: bytes = seed, read: Callable = read) -> object:
            file.write_bytes(blob)
            try:
                return read(run)
            finally:
                file.write_bytes(seed)

        found.append(Target(f"run {name}", [seed], decode))
    return found


def all_targets(folder: str | Path | None = None) -> list[Target]:
    """Return all of them, those of one name together."""
    place = Path(folder or tempfile.mkdtemp())
    targets = [
        *gr_targets(),
        pca_target(),
        *picture_targets(),
        *learned_targets(place),
        *file_targets(place),
        *record_targets(place),
    ]
    return sorted(targets, key=lambda target: target.name)
