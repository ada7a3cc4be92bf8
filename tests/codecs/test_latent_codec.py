"""Files of latents: what they carry, and those that cannot be decoded."""

import dataclasses

import numpy as np
import pytest
import torch

from ganrev.coding import container
from ganrev.coding.backends import Bzip2, Store
from ganrev.coding.frame import ContainerError, CorruptFileError, WrongGeneratorError
from ganrev.coding.quantiser import Quantiser
from ganrev.pixels import to_images
from ganrev.reversal.losses import L1
from ganrev.reversal.settings import Reversal
from tests.tiny import TinyGenerator, smooth_images, tiny_codec


def altered(blob, **changes):
    """Return a file with other contents and a checksum that is right."""
    return container.write(dataclasses.replace(container.read(blob), **changes))


def test_the_decoder_draws_what_the_symbols_say():
    codec = tiny_codec(entropy=Store())
    (blob,) = codec.encode(smooth_images(1))
    content = container.read(blob)
    symbols = torch.from_numpy(np.frombuffer(content.payload, np.int8).astype(np.float32))
    assert content.step_size == 1 / 4  # the tiny generator's unseen_scale is 4
    with torch.no_grad():
        expected = to_images(TinyGenerator()(symbols[None] / 4))
    assert torch.equal(codec.decode([blob]), expected)


def test_a_file_carries_what_its_decoder_needs():
    images = smooth_images(3)
    maker = tiny_codec(quant=Quantiser(0.3), entropy=Store(), latent_scale=7)
    stranger = tiny_codec(quant=Quantiser(None), loss=L1(), seed=9, reversal=Reversal("sgd", lr=1, steps=1))
    blobs = maker.encode(images)
    assert torch.equal(stranger.decode(blobs), maker.decode(blobs))


def test_files_of_different_settings_are_decoded_together():
    images = smooth_images(2)
    codecs = [tiny_codec(), tiny_codec(quant=Quantiser(None), entropy=Store())]
    blobs = [codec.encode(image[None])[0] for codec, image in zip(codecs, images, strict=True)]
    together = codecs[0].decode(blobs)
    for i, codec in enumerate(codecs):
        assert torch.equal(together[i : i + 1], codec.decode(blobs[i : i + 1]))


def test_more_files_than_a_batch_of_the_decoder():
    codec = tiny_codec()
    blobs = codec.encode(smooth_images(3))
    decoded = codec.decode(blobs * 12)
    assert torch.equal(decoded, codec.decode(blobs).repeat(12, 1, 1, 1))


def test_the_papers_count_is_that_of_the_payload():
    codec = tiny_codec()
    (blob,) = codec.encode(smooth_images(1))
    assert codec.bytes_for_paper(blob) == len(container.read(blob).payload) == len(blob) - 12


def test_a_wrong_generator_is_named():
    blobs = tiny_codec().encode(smooth_images(1))
    stranger = tiny_codec(generator=TinyGenerator(digest="ff" * 32))
    with pytest.raises(WrongGeneratorError, match=r"made with generator 012345, this one is ffffff"):
        stranger.decode(blobs)


def test_a_generator_without_digest_is_refused_before_any_work():
    generator = TinyGenerator()
    generator.digest = ""
    with pytest.raises(ValueError, match="SHA-256"):
        tiny_codec(generator=generator)


def test_every_alteration_and_truncation_of_a_file_raises_a_named_error():
    codec = tiny_codec()
    (blob,) = codec.encode(smooth_images(1))
    for place in range(len(blob)):
        broken = blob[:place] + bytes([blob[place] ^ 0x55]) + blob[place + 1 :]
        with pytest.raises(ContainerError):
            codec.decode([broken])
        with pytest.raises(ContainerError):
            codec.decode([blob[:place]])


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": b""},
        {"payload": b"no stream"},
        {"payload": Bzip2().encode(np.zeros(15, np.int32), np.zeros(15, np.int64))},
        {"payload": Bzip2().encode(np.zeros(16, np.float32), np.zeros(16, np.int64))},  # floats, and a step
        {"step_size": 0.0},  # symbols, and no step
        {"entropy_code": 0},
    ],
    ids=["empty", "no stream", "15 symbols", "floats with a step", "symbols without", "another back end"],
)
def test_contents_that_contradict_each_other_are_corrupt(changes):
    codec = tiny_codec()
    (blob,) = codec.encode(smooth_images(1))
    with pytest.raises(CorruptFileError):
        codec.decode([altered(blob, **changes)])


def test_an_unknown_back_end_is_refused():
    codec = tiny_codec()
    (blob,) = codec.encode(smooth_images(1))
    with pytest.raises(ContainerError, match="unknown entropy back end 15"):
        codec.decode([altered(blob, entropy_code=15)])
