"""The embedded generator: its file, its card, its linear map."""

import math
from pathlib import Path

import pytest
import torch

from ganrev.generator import embedded
from ganrev.generator.weights import load_tensors


def test_embedded_round_trip(embedded_file: Path) -> None:
    torch.manual_seed(0)
    fresh = embedded.EmbeddedNetwork()
    generator = embedded.load_embedded(embedded_file)
    torch.testing.assert_close(generator.linear.weight.data, fresh.linear.weight.data.half().float(), rtol=0, atol=0)
    assert generator.unseen_scale == 7.5
    assert embedded_file.stat().st_size < 25e6
    assert embedded_file.stat().st_size > 2 * sum(p.numel() for p in fresh.parameters())
    assert [path.name for path in embedded_file.parent.glob("*.partial")] == []


def test_embedded_inverts_its_linear_map_of_each_picture_by_itself(embedded_file: Path) -> None:
    # A fresh network draws the enlarged linear picture alone; its latents come back but for what enlarging blurs.
    generator = embedded.load_embedded(embedded_file)
    z = generator.sample_prior(3, torch.Generator().manual_seed(1))
    x = generator(z)
    guess = generator.invert_linear_map(x)
    assert guess.shape == (3, 512)
    assert guess.dtype == torch.float32
    assert (guess - z).square().mean() < 0.1 * z.square().mean()
    assert torch.equal(torch.cat([generator.invert_linear_map(row[None]) for row in x]), guess)


def test_embedded_scale(embedded_file: Path, tmp_path: Path) -> None:
    assert embedded.load_embedded(embedded_file, unseen_scale=3).unseen_scale == 3.0
    alone = tmp_path / "alone.safetensors"
    alone.symlink_to(embedded_file)
    assert embedded.load_embedded(alone).unseen_scale == 1.0
    card = tmp_path / "alone.json"
    for text, said in (
        ("{", "no JSON"),
        ("{}", "no key unseen_scale"),
        ('{"unseen_scale": -1}', "positive number"),
    ):
        card.write_text(text)
        with pytest.raises(ValueError, match=said):
            embedded.load_embedded(alone)
    assert embedded.load_embedded(alone, unseen_scale=2.0).unseen_scale == 2.0


def test_embedded_without_shipped_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_file: Path) -> None:
    monkeypatch.setattr(embedded, "weights_dir", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"embedded\.safetensors, found nothing"):
        embedded.load_embedded()
    (tmp_path / "embedded.safetensors").symlink_to(embedded_file)
    with pytest.raises(ValueError, match=r"embedded\.json, found nothing"):
        embedded.load_embedded()
    (tmp_path / "embedded.json").write_text('{"unseen_scale": 4}')
    assert embedded.load_embedded().unseen_scale == 4.0


def test_embedded_refuses_damaged_and_foreign_files(embedded_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = embedded_file.read_bytes()
    for damaged in (b"", b"not tensors", content[:1000], content[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="cannot be read as safetensors"):
            embedded.load_embedded(path)
    embedded_tensors = load_tensors(embedded_file)
    embedded.safetensors.torch.save_file({"other": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"missing: .*1 not expected: other"):
        embedded.load_embedded(path)
    embedded_tensors["dense.bias"][0] = math.nan
    embedded.safetensors.torch.save_file(embedded_tensors, path)
    with pytest.raises(ValueError, match=r"not finite, in dense\.bias"):
        embedded.load_embedded(path)


def test_embedded_save_refuses_what_float16_cannot_hold(tmp_path: Path) -> None:
    network = embedded.EmbeddedNetwork()
    network.to_rgb.bias.data[0] = 1e6
    with pytest.raises(ValueError, match=r"to_rgb\.bias cannot be stored"):
        embedded.save(network, tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []
