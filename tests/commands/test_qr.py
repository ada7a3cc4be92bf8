"""`compress --qr` and `--align`, and what reads it back."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments.alignment import paste
from experiments.qr_codes import photograph
from ganrev.cli import main
from ganrev.qr import to_qr
from tests.calling import call, fails
from tests.commands.photos import TINY


@pytest.fixture
def code(photo, tmp_path):
    path = tmp_path / "photo-qr.png"
    main(["compress", str(photo), "-o", str(path), "--qr", *TINY])
    return path


def test_a_code_holds_the_file_itself(code, compressed, tmp_path):
    for source, target in ((compressed, "a.png"), (code, "b.png")):
        main(["decompress", str(source), "-o", str(tmp_path / target), *TINY])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_photo_of_a_code_is_opened(code, compressed, tmp_path):
    shot = tmp_path / "shot.jpg"
    shot.write_bytes(photograph(code.read_bytes(), np.random.default_rng(0)))
    assert call("info", shot) == call("info", compressed)


def test_a_picture_without_a_code(photo, tmp_path, capsys):
    complaint = fails(capsys, "decompress", photo, "-o", tmp_path / "back.png", *TINY)
    assert f"{photo}: this is not a .gr file, and no QR code on the picture can be read" in complaint


def test_a_code_of_something_else(tmp_path, capsys):
    path = tmp_path / "foreign.png"
    path.write_bytes(to_qr(b"https://example.org"))
    complaint = fails(capsys, "info", path)
    assert f"{path}: the QR code on the picture holds something else" in complaint
    assert complaint.endswith("'https://example.org'")


def test_of_several_codes_the_one_with_a_file_is_read(code, compressed, tmp_path, capsys):
    own, foreign = (Image.open(io.BytesIO(png)) for png in (code.read_bytes(), to_qr(b"https://example.org")))
    both = Image.new("RGB", (own.width + foreign.width, own.height), (255, 255, 255))
    both.paste(own, (0, 0))
    both.paste(foreign, (own.width, 0))
    both.save(tmp_path / "both.png")
    assert call("info", tmp_path / "both.png") == call("info", compressed)


def test_a_code_that_could_not_hold_the_file_is_refused_before_the_work(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ganrev.codecs.auto.AutoCodec.choose", lambda *_: pytest.fail("it worked in vain"))
    for words in (["--bytes", 3000], ["--", *TINY[2:], "codec.target_bytes=3000"]):
        complaint = fails(capsys, "compress", photo, "-o", tmp_path / "face.png", "--qr", *words)
        assert "a QR code holds 1 to 2331 bytes and the file has 3000: make it smaller" in complaint


def test_a_picture_that_cannot_be_read_is_said_to_be_one(code, tmp_path, capsys):
    whole = code.read_bytes()
    buffer = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(buffer, "PNG")
    for content, why in ((whole[: len(whole) // 2], "truncated or damaged"), (buffer.getvalue(), "too large to be a")):
        code.write_bytes(content)
        for command in (["info", code], ["decompress", code, "-o", tmp_path / "back.png", *TINY]):
            complaint = fails(capsys, *command)
            assert f"{code} is a picture, of a QR code perhaps, that cannot be read: {why}" in complaint


def test_a_code_is_a_png(photo, tmp_path, capsys):
    assert "ends in .png" in fails(capsys, "compress", photo, "-o", tmp_path / "face.gr", "--qr", *TINY)


def test_a_face_is_a_face_of_those_found(photo, tmp_path, capsys):
    assert "add --align" in fails(capsys, "compress", photo, "-o", tmp_path / "face.gr", "--face", 2, *TINY)


def test_no_face_is_a_sentence(photo, tmp_path, capsys, detector):
    complaint = fails(capsys, "compress", photo, "-o", tmp_path / "face.gr", "--align", *TINY)
    assert "no face was found: take a picture" in complaint


def test_an_aligned_photo(tmp_path, capsys, drawn_faces):
    pasted, _ = paste(drawn_faces[0], np.random.default_rng(0))
    pasted.save(tmp_path / "photo.png")
    main(["compress", str(tmp_path / "photo.png"), "-o", str(tmp_path / "face.gr"), "--align", *TINY])
    printed = capsys.readouterr().out
    assert printed.startswith("cut out the face at (")
    assert "as CelebA's faces are" in printed
    assert (tmp_path / "face.gr").stat().st_size > 0
