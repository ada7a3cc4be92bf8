"""Faces are found in photos of any size, and their frames hit; where not, a sentence says what to do."""

import numpy as np
import pytest
from PIL import Image

from experiments.alignment import paste
from ganrev.alignment import Frame, NoFaceError, align, find_faces
from ganrev.alignment import aligning as module
from ganrev.alignment.detector import Face


def beside_each_other(*faces):
    """Return a grey photo of some faces, each 150 pixels of it, the later ones smaller."""
    photo = Image.new("RGB", (260 * len(faces), 300), (120, 120, 120))
    for number, face in enumerate(faces):
        side = 150 - 20 * number
        photo.paste(face.resize((side, side)), (260 * number + 50, 70))
    return photo


@pytest.mark.parametrize("number", range(3))
def test_the_frame_of_a_pasted_face_is_found(drawn_faces, number):
    photo, true = paste(drawn_faces[number], np.random.default_rng(number))
    alignment = align(photo)
    assert len(alignment.faces) == 1
    assert alignment.remarks == []
    assert true.error(alignment.frame) < 3


def test_a_face_in_its_frame_stays_there(drawn_faces):
    assert Frame(64, 64, 128).error(align(drawn_faces[0]).frame) < 3


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_that_lies_on_its_side(drawn_faces, turns):
    photo = beside_each_other(drawn_faces[0])
    upright = align(photo).frame
    turned = align(photo.rotate(90 * turns, expand=True)).frame
    assert (turned.angle - upright.angle + 90 * turns + 180) % 360 == pytest.approx(180, abs=5)
    assert turned.side == pytest.approx(upright.side, rel=0.05)


def test_of_several_faces_the_largest_is_taken_unless_told(drawn_faces):
    photo = beside_each_other(drawn_faces[1], drawn_faces[0])
    alignment = align(photo)
    assert (len(alignment.faces), alignment.chosen) == (2, 0)
    (remark,) = alignment.remarks
    assert remark.startswith("2 faces were found and the largest taken, number 1 from the left")
    second = align(photo, 2)
    assert second.chosen == 1
    assert second.remarks == []
    assert second.frame.x > 300 > alignment.frame.x
    with pytest.raises(NoFaceError, match="there is no face 3: 2 faces were found; number them from 1 at the left"):
        align(photo, 3)


def test_no_face(detector):
    with pytest.raises(NoFaceError, match="no face was found: take a picture in which a face is seen from the front"):
        align(Image.new("RGB", (400, 300), (90, 120, 30)))
    assert find_faces(Image.new("RGB", (1, 3))) == []


def test_a_face_at_the_edge_of_a_photo_is_told(drawn_faces):
    photo = beside_each_other(drawn_faces[0]).crop((75, 70, 260, 300))
    (remark,) = align(photo).remarks
    assert "% of the frame lie beyond the edges of the photo" in remark


def test_a_small_face_is_told(drawn_faces):
    photo = Image.new("RGB", (200, 200), (120, 120, 120))
    photo.paste(drawn_faces[0].resize((40, 40)), (80, 80))
    (remark,) = align(photo).remarks
    assert remark.startswith("the face is small: ")


def test_a_face_from_the_side_is_told():
    landmarks = np.array([[45.0, 56], [60, 56], [44, 75], [45, 95], [58, 95]])
    box = np.array([[20.0, 20], [100, 120]])
    profile = Face(landmarks, box, 0.9)
    assert profile.turned_away > 1
    (remark,) = module._remarks(Image.new("RGB", (128, 128)), [profile], 0, Frame(64, 64, 128), False)
    assert remark.startswith("the face is seen from the side")
    frontal = Face(np.array([[45.0, 56], [83, 56], [65, 78], [48, 95], [80, 95]]), box, 0.9)
    assert frontal.turned_away < 0.2


def test_the_whole_measurement_in_miniature(drawn_faces, tmp_path):
    from experiments.alignment import measure

    for number, face in enumerate(drawn_faces):
        face.save(tmp_path / f"{number}.png")
    printed = measure(tmp_path, 2, seed=0)
    assert "| refined | 2 of 2 |" in printed
    assert "SSIM of the picture cut by the found frame" in printed
