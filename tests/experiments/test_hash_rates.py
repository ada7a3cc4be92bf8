"""The rates at which the perceptual hash finds changed faces, in miniature."""

import torch

from experiments import hash_rates
from ganrev.cli import main
from ganrev.contamination.hashes import (
    hash_faces,
)
from ganrev.data.pictures import Pictures
from ganrev.pixels import to_pillow
from tests.known_faces import FACES, OTHERS


def test_the_rates_are_measured_in_miniature(tmp_path, monkeypatch, capsys):
    for folder, images, first in (("train", FACES[:6], 1), ("valid", OTHERS[:2], 11)):
        (tmp_path / folder).mkdir()
        for index, image in enumerate(images):
            to_pillow(image).save(tmp_path / folder / f"{first + index:06d}.png")
    rows = "".join(f"{i},{100 + i},x\n" for i in range(1, 13))
    (tmp_path / "manifest.csv").write_text("celeba_id,identity,split\n" + rows)
    hashes = hash_faces(FACES[:6]).save(tmp_path / "own.hashes.npz")
    sample = Pictures(torch.cat([OTHERS[2:4], FACES[2:3]]), ["x", "y", "z"], [21, 22, 23])
    monkeypatch.setattr(hash_rates, "CelebaSample", lambda **_: type("Sample", (), {"load": lambda self: sample})())
    paths = {name: str(tmp_path / name) for name in ("train", "valid", "manifest.csv", "rates.md")}
    arguments = ["--faces", paths["train"], "--valid", paths["valid"], "--manifest", paths["manifest.csv"]]
    arguments += ["--hashes", str(hashes), "--changed", "2", "--others", "3", "--output", paths["rates.md"]]
    main(["hash-rates", *arguments])
    text = (tmp_path / "rates.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    assert "are those of these faces" in text
    assert "| JPEG 30 | 2 |" in text
    assert "| validation faces | 2 |" in text
    assert "z and 000003 (1.000)" in text
