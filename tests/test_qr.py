"""Files as QR codes: byte for byte there and back."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from experiments.qr_codes import measure, photograph
from ganrev import qr
from ganrev.qr import MOST_BYTES, from_qr, to_qr


def opened(png):
    with Image.open(io.BytesIO(png)) as picture:
        return picture.convert("RGB")


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=600))
def test_any_file_is_read_back(blob):
    assert from_qr(opened(to_qr(blob))) == blob


@pytest.mark.parametrize(("size", "version"), [(120, 7), (250, 11), (445, 16), (700, 21)])
def test_the_version_is_the_smallest_that_holds_it(size, version):
    modules = 17 + 4 * version
    assert opened(to_qr(bytes(size))).size == (8 * (modules + 8),) * 2


def test_a_photo_of_a_print_is_read():
    rng = np.random.default_rng(0)
    blob = rng.bytes(250)
    assert from_qr(opened(photograph(to_qr(blob), rng))) == blob


def test_the_largest_file():
    blob = bytes(range(256)) * 9 + bytes(MOST_BYTES - 256 * 9)
    assert from_qr(opened(to_qr(blob))) == blob


@pytest.mark.parametrize("size", [0, MOST_BYTES + 1])
def test_what_no_code_can_hold(size):
    with pytest.raises(ValueError, match=f"holds 1 to 2331 bytes and the file has {size}: make it smaller"):
        to_qr(bytes(size))


def test_a_picture_without_a_code():
    with pytest.raises(ValueError, match="no QR code on the picture can be read: take it from straight above"):
        from_qr(Image.new("RGB", (300, 200), (200, 200, 200)))


def test_two_codes_on_one_picture():
    codes = [opened(to_qr(bytes([number] * 50))) for number in (1, 2)]
    both = Image.new("RGB", (2 * codes[0].width, codes[0].height), (255, 255, 255))
    for number, code in enumerate(codes):
        both.paste(code, (number * code.width, 0))
    with pytest.raises(ValueError, match="there are 2 QR codes on the picture: cut it to the one that is meant"):
        from_qr(both)


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr(qr, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"QR codes need their extra: pip install 'ganrev\[qr\]'"):
        to_qr(b"x")


def test_the_measurement_in_miniature():
    assert "| 60 | 2 of 2 | 2 of 2 |" in measure([60], 2, seed=0)
