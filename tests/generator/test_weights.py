"""Checkpoints are read safely: nothing in them is executed."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from ganrev.generator import dcgan, embedded, pggan
from ganrev.generator.weights import file_digest, load_checkpoint, load_state, shape_of
from tests.generator.checkpoints import URL, save_zoo, zoo_tensors


class Payload:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.mkdir, (str(self.marker),)


def loaders() -> dict[str, Callable[[Path], object]]:
    return {
        "checkpoint": load_checkpoint,
        "pggan": lambda path: pggan.load_pggan(path, URL),
        "dcgan": dcgan.load_dcgan,
    }


@pytest.mark.parametrize("loader", loaders())
@pytest.mark.parametrize("form", ["zip", "legacy", "raw", "posing"])
def test_malicious_pickle_is_refused_and_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, form: str
) -> None:
    marker, path = tmp_path / "executed", tmp_path / "evil.pth"
    pickle.loads(pickle.dumps(Payload(marker)))
    marker.rmdir()  # so the payload works where unpickling is free
    content = {"avgG": zoo_tensors((6, 4)), "state_dict": Payload(marker)}
    if form == "raw":
        path.write_bytes(pickle.dumps(content, protocol=2))
    elif form == "posing":  # behind an allowed name
        save_zoo(path, monkeypatch, {"formatLayer.weight": Payload(marker)})
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(ValueError, match=r"refused|cannot be read as a torch checkpoint"):
        loaders()[loader](path)
    assert not marker.exists()


def test_refusal_names_the_culprit_and_gives_no_unsafe_advice(tmp_path: Path) -> None:
    torch.save({"a": Payload(tmp_path / "executed")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth asks for posix\.mkdir while loading") as caught:
        load_checkpoint(tmp_path / "evil.pth")
    assert "weights_only" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(ValueError, match=r"asks for torch\.nn\.modules\.linear\.Linear .*plain state dict"):
        load_checkpoint(tmp_path / "module.pth")


@pytest.mark.parametrize("loader", loaders())
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loader: str, zipped: bool) -> None:
    path = tmp_path / "g.pth"
    good = save_zoo(path, monkeypatch, zoo_tensors((6, 4)), _use_new_zipfile_serialization=zipped).read_bytes()
    damaged = [
        b"",
        b"\x80",
        b"a text file\n" * 50,
        b"PK\x03\x04",
        good[:20],
        good[: len(good) // 2],
        good[1:],
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"g.pth (cannot be read as a torch checkpoint|asks for)"):
            loaders()[loader](path)


@pytest.mark.parametrize("loader", [*loaders(), "embedded", "digest"])
def test_missing_files_are_reported(tmp_path: Path, loader: str) -> None:
    load = (loaders() | {"embedded": embedded.load_embedded, "digest": file_digest})[loader]
    with pytest.raises(ValueError, match=r"absent\.pth, found nothing; give another one by generator.path="):
        load(tmp_path / "absent.pth")
    with pytest.raises(ValueError, match="found a folder"):
        load(tmp_path)


@pytest.mark.parametrize("options", [{"device": "meta"}, {"dtype": torch.complex64}, {"dtype": torch.bool}])
def test_load_state_refuses_tensors_that_are_no_weights(options: dict) -> None:
    tensors = {"weight": torch.zeros(1, 2, **options), "bias": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"weight \(Tensor of another kind, not 1x2\)"):
        load_state(nn.Linear(2, 1), tensors, "file")


def test_load_state_casts_and_copies() -> None:
    network = nn.Linear(2, 1)
    tensors = {"weight": torch.ones(1, 2, dtype=torch.float16), "bias": torch.ones(1)}
    load_state(network, tensors, "file")
    tensors["bias"].zero_()
    assert network.weight.dtype == torch.float32
    assert network(torch.ones(1, 2)).item() == 3


def test_one_number_that_stands_for_billions_is_no_weight(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(60_000, 60_000)}, tmp_path / "c.pth")
    loaded = load_checkpoint(tmp_path / "c.pth")
    with pytest.raises(ValueError, match=r"weight \(Tensor of another kind, not 60000x60000\)"):
        load_state(nn.Linear(60_000, 60_000, bias=False, device="meta"), loaded, "file")
    with pytest.raises(ValueError, match="has no tensor 'weight' of 2 axes"):
        shape_of(loaded, "weight", 2, "file")


def test_a_checkpoint_that_inflates_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1 << 16)}, tmp_path / "whole.pth")
    load_checkpoint(tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(tmp_path / "c.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name, content in members.items():
            bomb.writestr(name, content)
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        load_checkpoint(tmp_path / "c.pth")
