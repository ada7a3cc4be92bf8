"""One picture file becomes one square picture; pictures have a digest, and parts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganrev.data.pictures import Pictures, crop_picture, parse_shard, read_picture
from tests.known_faces import FACES, pictures_of
from tests.picture_files import BAD, chw, encoded, make_pictures, noise
from tests.tiny import smooth_images

# ---- files


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_named_with_its_reason(name, tmp_path):
    data, reason = BAD[name]
    with pytest.raises(ValueError, match=reason):
        read_picture(data)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=reason) as caught:
        read_picture(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_picture(tmp_path / "none.png")


# ---- crops


def test_celeba_crop_is_exact():
    pixels = noise(218, 178)
    image = read_picture(encoded(pixels), "celeba")
    assert image.dtype == torch.uint8
    assert image.shape == (3, 128, 128)
    assert torch.equal(image, chw(pixels[57:185, 25:153]))


def test_celeba_crop_wants_aligned_images():
    with pytest.raises(ValueError, match=r"200 x 218 .* expects CelebA's aligned images, 178 x 218"):
        read_picture(encoded(noise(218, 200)), "celeba")


def test_center_crop_takes_the_largest_centred_square():
    pixels = noise(128, 201)
    assert torch.equal(read_picture(encoded(pixels), "center"), chw(pixels[:, 36:164]))
    tall = noise(300, 260)
    expected = Image.fromarray(tall[20:280]).resize((128, 128), Image.Resampling.LANCZOS)
    assert torch.equal(read_picture(encoded(tall), "center"), chw(np.asarray(expected)))


def test_no_crop_wants_128():
    pixels = noise(128, 128)
    assert torch.equal(read_picture(encoded(pixels), "none"), chw(pixels))
    with pytest.raises(ValueError, match="129 x 128 and crop=none expects 128 x 128"):
        read_picture(encoded(noise(128, 129)), "none")


def test_unknown_crop():
    with pytest.raises(ValueError, match="crop must be one of celeba, center, face, none, got 'middle'"):
        crop_picture(Image.new("RGB", (200, 200)), "middle")


# ---- Pictures


def test_digest_depends_on_names_pixels_and_order():
    images = torch.from_numpy(noise(2, 3 * 4 * 4, 1).reshape(2, 3, 4, 4))
    base = Pictures(images, ["a", "b"], [1, 2])
    assert len(base) == 2
    assert base.digest == Pictures(images.clone(), ["a", "b"], [None, None], [("c", "bad")]).digest
    others = [
        Pictures(images, ["a", "c"], [1, 2]),
        Pictures(images.flip(0), ["a", "b"], [1, 2]),
        Pictures(images ^ 1, ["a", "b"], [1, 2]),
        Pictures(images.reshape(2, 3, 2, 8), ["a", "b"], [1, 2]),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize(
    ("images", "names", "ids"),
    [
        (torch.zeros(1, 3, 4, 4), ["a"], [None]),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), ["a"], [None]),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ["a"], [None]),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ["a", "a"], [None, None]),
    ],
)
def test_inconsistent_pictures_are_refused(images, names, ids):
    with pytest.raises(ValueError, match="expected"):
        Pictures(images, names, ids)


# ---- parts of pictures


@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_shards_are_whole_batches_that_make_up_the_pictures(num_images, batch_size, data):
    pictures = make_pictures(num_images)
    num_batches = -(-num_images // batch_size)
    count = data.draw(st.integers(1, num_batches))
    shards = [pictures.shard(f"{number}/{count}", batch_size) for number in range(1, count + 1)]
    for field in ("names", "celeba_ids", "celeba_identities"):
        assert [value for shard in shards for value in getattr(shard, field)] == getattr(pictures, field)
    assert torch.equal(torch.cat([shard.images for shard in shards]), pictures.images)
    assert all(len(shard) % batch_size == 0 for shard in shards[:-1])
    batches = [-(-len(shard) // batch_size) for shard in shards]
    assert max(batches) - min(batches) <= 1
    assert {shard.digest for shard in shards} == {pictures.digest}
    assert all(shard.skipped == pictures.skipped for shard in shards)


@pytest.mark.parametrize("shard", ["3/2", "0/4", "0/0", "1/0", "1", "1/2/3", "-1/2", "a/b", "1.0/2", " 1/2", 0.5, True])
def test_what_is_no_shard_is_refused(shard):
    with pytest.raises(ValueError, match=r"data.shard must be i/n, i from 1 to n: .* 1/4 and the last 4/4; got"):
        parse_shard(shard)


def test_more_shards_than_batches_are_refused():
    with pytest.raises(ValueError, match=r"data.shard=1/4: .* 10 pictures make only 3 of batch_size=4; take fewer"):
        make_pictures(10).shard("1/4", 4)


def test_identities_must_be_one_a_picture():
    with pytest.raises(ValueError, match="an identity for each picture or none at all, got 2 pictures, 1 identities"):
        pictures_of(FACES[:2], identities=[4])


def test_another_picture_or_another_name_is_another_digest():
    images = smooth_images(2, 16)
    digests = {
        Pictures(images, ["a", "b"], [None, None]).digest,
        Pictures(images, ["a", "c"], [None, None]).digest,
        Pictures(images.flip(0), ["a", "b"], [None, None]).digest,
        Pictures(images[:1], ["a"], [None]).digest,
    }
    assert len(digests) == 4
