"""Learned codecs: exact files, sizes kept, bad input named."""

import contextlib
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from baselines.learned import codec as module
from baselines.learned.codec import FRAME, LearnedCodec, load_autoencoder, load_encoder, load_hyperprior
from ganrev.codecs import BelowFloorError
from ganrev.coding.frame import CorruptFileError, NotAContainerError, WrongGeneratorError
from ganrev.contamination.card import read_card
from ganrev.contamination.hashes import all_hashes_paths, load_hashes
from tests.learned import write_weights
from tests.tiny import TinyGenerator, smooth_images

HEADER = 7


@pytest.fixture(scope="module")
def generator():
    return TinyGenerator(size=128)


@pytest.fixture(scope="module")
def paths(tmp_path_factory, generator):
    folder = tmp_path_factory.mktemp("weights")
    return {kind: write_weights(kind, folder, generator) for kind in ("autoencoder", "hyperprior", "encoder")}


@pytest.fixture(scope="module")
def images():
    return smooth_images(2, 128)


@pytest.fixture(params=["autoencoder", "hyperprior", "encoder"])
def make(request, paths, generator):
    def build(**options) -> LearnedCodec:
        path = paths[request.param]
        if request.param == "encoder":
            return load_encoder(generator, path, **options)
        return (load_autoencoder if request.param == "autoencoder" else load_hyperprior)(path, **options)

    return build


def test_a_higher_quality_is_a_larger_and_a_better_file(make, images):
    sizes, errors = [], []
    for quality in (0, 50, 100):
        codec = make(quality=quality)
        blobs = codec.encode(images)
        sizes.append(sum(map(len, blobs)))
        errors.append(float((codec.decode(blobs).float() - images.float()).square().mean()))
    assert sizes == sorted(sizes)
    assert errors[-1] < errors[0]


def test_the_files_are_not_above_the_size_asked_for(make, images):
    target = max(map(len, make(quality=50).encode(images)))
    codec = make(target_bytes=target)
    blobs = codec.encode(images)
    assert max(map(len, blobs)) <= target
    usual = make(quality=50)
    errors = [
        (one.decode(one.encode(images)).float() - images.float()).square().flatten(1).mean(1) for one in (codec, usual)
    ]
    assert bool((errors[0] <= errors[1]).all())


def test_below_the_floor(make, images):
    with pytest.raises(BelowFloorError, match="floor for it is"):
        make(target_bytes=8).encode(images)


def test_rounding_towards_zero_takes_no_more_bytes(make, images):
    sizes = [sum(map(len, make(quality=90, rounding=rounding).encode(images))) for rounding in (0.2, 0.5)]
    assert sizes[0] <= sizes[1]


def test_the_header(paths, images):
    codec = load_autoencoder(paths["autoencoder"], quality=33)
    (blob,) = codec.encode(images[:1])
    assert FRAME.num_bytes == HEADER
    magic, quality, mark = struct.unpack_from("<2sB2s", blob)
    assert (magic, quality, mark) == (b"LC", 33, bytes.fromhex(codec.digest)[:2])


def test_the_identity_names_kind_and_weights(make):
    identity = make().identity()
    assert identity.name in ("autoencoder", "hyperprior", "encoder")
    assert len(identity.weights) == 64


def test_other_weights_refuse_a_file(paths, images):
    (blob,) = load_autoencoder(paths["autoencoder"]).encode(images[:1])
    with pytest.raises(WrongGeneratorError, match="decode with those it was made with"):
        load_hyperprior(paths["hyperprior"]).decode([blob])


def test_damaged_files(make, images):
    codec = make()
    (blob,) = codec.encode(images[:1])
    with pytest.raises(NotAContainerError):
        codec.decode([b"PC" + blob[2:]])
    with pytest.raises(CorruptFileError, match="checksum"):
        codec.decode([blob[:-1] + bytes([blob[-1] ^ 1])])
    mark = blob[3:5]
    for payload in (b"", b"\xff" * 40, np.random.default_rng(0).bytes(300)):
        for quality in (0, 100):
            forged = FRAME.write((quality, mark), payload)
            with contextlib.suppress(CorruptFileError):
                assert codec.decode([forged]).shape == (1, 3, 128, 128)
    with pytest.raises(CorruptFileError, match="impossible quality 101"):
        codec.decode([FRAME.write((101, mark), blob[HEADER:])])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"quality": 101}, "codec.quality must be a whole number from 0 to 100, got 101"),
        ({"quality": 1.5}, "codec.quality must be a whole number from 0 to 100, got 1.5"),
        ({"target_bytes": 0}, "codec.target_bytes must be a whole number of at least 1"),
        ({"rounding": 0.6}, "codec.rounding must be a number from 0 to 0.5"),
    ],
)
def test_options(make, option, message):
    with pytest.raises(ValueError, match=message):
        make(**option)


def test_missing_and_foreign_weights(tmp_path, monkeypatch, paths, generator):
    monkeypatch.setattr(module, "weights_folder", lambda: tmp_path)
    with pytest.raises(ValueError, match="`make opponents` trains them"):
        load_autoencoder()
    with pytest.raises(ValueError, match="do not fit"):
        load_autoencoder(paths["hyperprior"])
    with pytest.raises(ValueError, match="draws 128 x 128"):
        load_encoder(TinyGenerator(size=32), paths["encoder"])


def test_a_fresh_process_on_other_threads_reads_the_same_symbols(paths, images, tmp_path):
    """Of the hyperprior, whose scale codes a network predicts."""
    codec = load_hyperprior(paths["hyperprior"], quality=70)
    blobs = codec.encode(images)
    (tmp_path / "blobs").write_bytes(b"".join(len(b).to_bytes(4, "big") + b for b in blobs))
    script = (
        "import sys, torch; torch.set_num_threads(2)\n"
        "from pathlib import Path\n"
        "from baselines.learned.codec import load_hyperprior\n"
        "data, blobs = Path(sys.argv[2]).read_bytes(), []\n"
        "while data:\n"
        "    size = int.from_bytes(data[:4], 'big'); blobs.append(data[4:4 + size]); data = data[4 + size:]\n"
        "torch.save(load_hyperprior(sys.argv[1]).decode(blobs), sys.argv[3])\n"
    )
    arguments = [str(paths["hyperprior"]), str(tmp_path / "blobs"), str(tmp_path / "drawn.pt")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=120)
    drawn = torch.load(tmp_path / "drawn.pt", weights_only=True)
    assert (drawn.int() - codec.decode(blobs).int()).abs().max() <= 1


def test_the_shipped_models_know_their_training_faces():
    card = module.weights_folder() / module.FACES_CARD
    known = read_card(card).known
    (path,) = all_hashes_paths(card)
    assert len(load_hashes(path)) == len(known.celeba_ids) == 15690
    assert known.celeba_identities
