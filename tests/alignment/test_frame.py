"""A frame is a turned square of a photo: its geometry, and what is cut out of it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganrev.alignment import Frame
from tests.picture_files import noise

numbers = st.floats(-500, 500)
frames = st.builds(Frame, numbers, numbers, st.floats(10, 1000), st.floats(-180, 180))
POINTS = np.array([[45.0, 56.0], [83.0, 56.0], [64.0, 78.0], [48.0, 95.0], [80.0, 94.0]])


@given(frames)
def test_points_go_to_the_photo_and_back(frame):
    assert np.allclose(frame.to_frame(frame.to_photo(POINTS)), POINTS)


@given(frames)
def test_a_frame_is_found_from_its_points(frame):
    found = Frame.from_points(frame.to_photo(POINTS), POINTS)
    assert frame.error(found) < 1e-6
    assert found.side == pytest.approx(frame.side)


def test_the_middle_stays_where_it_is_told():
    frame = Frame(300, 200, 256, 90)
    assert np.allclose(frame.to_photo(np.array([[64.0, 64.0], [128.0, 64.0]])), [[300, 200], [300, 328]])  # clockwise


@given(frames, st.floats(-5, 5), st.floats(-5, 5))
def test_a_move_is_told_in_the_frames_own_pixels(frame, right, down):
    assert frame.error(frame.moved(right, down)) == pytest.approx(math.hypot(right, down), abs=1e-6)


def test_the_error_counts_turns_and_growth():
    frame = Frame(0, 0, 128)
    assert frame.error(frame) == 0
    assert 0.5 < frame.error(frame.moved(turn=1)) < 1.2  # a degree moves a pixel 64 away by 1.1
    assert 0.5 < frame.error(frame.moved(growth=1.02)) < 1.3


def test_an_upright_frame_of_whole_pixels_is_cut_exactly():
    pixels = noise(300, 260)
    cut = Frame(20 + 64, 50 + 64, 128).cut(Image.fromarray(pixels))
    assert (cut.mode, cut.size) == ("RGB", (128, 128))
    assert np.array_equal(np.asarray(cut), pixels[50:178, 20:148])


@pytest.mark.parametrize("side", [96, 128, 300, 1000])
@pytest.mark.parametrize("angle", [0, 33, -90])
def test_what_is_cut_lies_where_the_frame_says(side, angle):
    # The photo's red is its x, its green its y.
    y, x = np.mgrid[0:1600, 0:1600] / 1600 * 255
    photo = Image.fromarray(np.stack((x, y, 0 * x), axis=-1).round().astype(np.uint8))
    frame = Frame(800, 790, side, angle)
    cut = np.asarray(frame.cut(photo)).astype(float)
    places = np.array([[30.5, 40.5], [100.5, 64.5], [64.5, 120.5]])
    for (u, v), (across, down) in zip(places.astype(int), frame.to_photo(places), strict=True):
        assert cut[v, u, :2] * 1600 / 255 == pytest.approx([across - 0.5, down - 0.5], abs=7)  # rounding: 6 a level


def test_fine_stripes_of_a_large_photo_become_grey():
    stripes = np.zeros((2000, 2000, 3), np.uint8)
    stripes[:, ::2] = 255
    cut = np.asarray(Frame(1000, 1000, 1500, 10).cut(Image.fromarray(stripes)))
    assert abs(cut.astype(int) - 128).max() < 12


def test_beyond_the_edges_the_outermost_pixels_go_on():
    photo = Image.new("RGB", (200, 200), (10, 20, 30))
    frame = Frame(0, 100, 100)
    assert frame.share_outside(200, 200) == pytest.approx(0.5, abs=0.02)
    assert np.asarray(frame.cut(photo)).reshape(-1, 3).tolist() == [[10, 20, 30]] * 128**2
    with pytest.raises(ValueError, match="does not touch the picture: move it back"):
        Frame(-100, 100, 100).cut(photo)


def test_a_margin_leaves_room_around_the_frame():
    pixels = noise(300, 300)
    cut = Frame(150, 150, 128).cut(Image.fromarray(pixels), 160, margin=0.125)
    assert np.array_equal(np.asarray(cut), pixels[70:230, 70:230])


@pytest.mark.parametrize(
    "numbers", [(0, 0, 0), (0, 0, -3), (math.nan, 0, 10), (0, 0, 10, math.inf), (1e308, 0, 1e308), (0, 0, 1e-4)]
)
def test_impossible_frames_are_refused(numbers):
    with pytest.raises(
        ValueError, match="a frame has finite numbers, none beyond a million, and a side of 1 or more; got x "
    ):
        Frame(*numbers)


def test_landmarks_in_one_place_fit_no_frame():
    with pytest.raises(ValueError, match="all in one place"):
        Frame.from_points(np.ones((5, 2)), POINTS)
