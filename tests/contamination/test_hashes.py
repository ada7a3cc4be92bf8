"""The perceptual hash: a changed face is still the same photograph, another one is not."""

import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from experiments import hash_rates
from ganrev.contamination.hashes import (
    NUM_BITS,
    SAME_PHOTOGRAPH,
    FaceHashes,
    hash_faces,
    load_hashes,
)
from ganrev.pixels import from_pillow, to_pillow
from tests.known_faces import FACES, OTHERS


def similarity(changed, face=3):
    return next(hash_faces(FACES).similarities(changed[None]))[face]


def as_jpeg(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def moved(picture, right, down):
    warp = np.float32([[1, 0, right], [0, 1, down]])
    pixels = cv2.warpAffine(np.asarray(picture), warp, picture.size, borderMode=cv2.BORDER_REPLICATE)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: as_jpeg(picture, 30),
        lambda picture: picture.resize((64, 64)),
        lambda picture: picture.resize((256, 256)),
        lambda picture: picture.resize((64, 64)).resize((128, 128)),
        lambda picture: moved(picture, 2, -2),
        lambda picture: moved(picture, -1, 1),
        lambda picture: picture.crop((2, 2, 126, 126)).resize((128, 128)),
        lambda picture: picture.point(lambda value: min(255, round(value * 1.1))),
        lambda picture: picture.point(lambda value: round(value * 0.9)),
        lambda picture: as_jpeg(moved(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1, 1), 50),
        hash_rates.center_cut,
    ],
)
def test_a_changed_face_is_still_the_same_photograph(change):
    changed = from_pillow(change(to_pillow(FACES[3])).convert("RGB"))
    assert similarity(changed) > SAME_PHOTOGRAPH
    assert next(hash_faces(FACES).similarities(changed[None])).argmax() == 3


def test_other_pictures_are_not():
    largest = [row.max() for row in hash_faces(FACES).similarities(OTHERS)]
    assert len(largest) == len(OTHERS)
    assert max(largest) < SAME_PHOTOGRAPH
    flat = torch.full((1, 3, 128, 128), 90, dtype=torch.uint8)
    assert next(hash_faces(FACES).similarities(flat)).max() < SAME_PHOTOGRAPH


def test_similarities_are_in_range_and_one_a_face():
    rows = list(hash_faces(FACES).similarities(FACES[:2]))
    assert [row.shape for row in rows] == [(40,), (40,)]
    assert np.abs(rows).max() <= 1 + 1e-5
    assert rows[1][1] == pytest.approx(1, abs=1e-5)


def test_hashes_survive_their_file(tmp_path):
    hashes = hash_faces(FACES)
    again = load_hashes(hashes.save(tmp_path / "x.hashes.npz"))
    assert again.bits.shape == (40, NUM_BITS // 8)
    for name in ("bits", "center", "spread"):
        assert np.array_equal(getattr(again, name), getattr(hashes, name))


def test_a_damaged_file_of_hashes_is_an_error(tmp_path):
    path = tmp_path / "x.hashes.npz"
    with pytest.raises(ValueError, match=r"x\.hashes\.npz is no file of face hashes"):
        load_hashes(path)
    hash_faces(FACES).save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:-200], b"text"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no file of face hashes"):
            load_hashes(path)
    np.savez(path, bits=np.zeros((2, 8), np.uint8), center=np.zeros(64), spread=np.ones(64))
    with pytest.raises(ValueError, match="expected uint8 hashes of 128 bits"):
        load_hashes(path)
    with pytest.raises(ValueError, match="positive deviations"):
        FaceHashes(np.zeros((1, 16), np.uint8), np.zeros(128), np.zeros(128))
