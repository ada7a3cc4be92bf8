"""Where and how precisely reversal computes."""

import os
import subprocess
import sys

import pytest
import torch
from hydra.utils import instantiate

from ganrev.paths import config_dir
from ganrev.reversal.device import Device
from tests.tiny import compose_config, smooth_images, tiny_codec

has_cuda = torch.cuda.is_available()


def test_auto_takes_cuda_where_there_is_one():
    assert Device().torch_device.type == ("cuda" if has_cuda else "cpu")
    assert Device().precision in ("float32", "bfloat16")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_precision_is_the_dtype_that_was_asked_for(dtype):
    device = Device("cpu", dtype)
    assert device.precision == dtype
    assert device.dtype == getattr(torch, dtype)


def test_lanes_have_a_default():
    assert Device("cpu").lanes >= 1
    assert Device("cpu", lanes=3).lanes == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "tpu"}, r"device\.name must be auto, cpu or cuda, got 'tpu'"),
        ({"name": None}, r"device\.name must be auto, cpu or cuda, got None"),
        ({"name": "cpu", "dtype": "float16"}, r"device\.dtype must be .* got 'float16'"),
        ({"name": "cpu", "lanes": 0}, r"device\.lanes must be a whole number of at least 1"),
        ({"name": "cpu", "lanes": 2.5}, r"device\.lanes must be a whole number of at least 1"),
        ({"name": "cpu", "threads": 0}, r"device\.threads must be a whole number of at least 1"),
        ({"name": "cpu", "lanes": "many"}, r"device\.lanes .* got 'many'"),
    ],
)
def test_a_bad_option_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Device(**arguments)


def test_threads_are_those_of_the_process():
    before = torch.get_num_threads()
    try:
        Device("cpu", threads=3)
        assert torch.get_num_threads() == 3
        Device("cpu")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


class Scarce:
    """Work for which memory runs out beyond so many lanes."""

    def __init__(self, most):
        self.most, self.calls = most, []

    def __call__(self, lanes):
        self.calls.append(len(lanes))
        if len(lanes) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return lanes


@pytest.mark.parametrize(
    ("together", "most", "calls", "left"),
    [(1, 8, [6, 6, 6], 8), (3, 8, [6, 6, 6], 8), (1, 4, [6, 3, 3, 3, 3, 3, 3], 3), (3, 4, [6, 3, 3, 3, 3, 3, 3], 3)],
)
def test_work_goes_on_in_smaller_parts_where_memory_runs_out(together, most, calls, left, caplog):
    device, work = Device("cpu", lanes=8), Scarce(most)
    parts = device.in_parts(work, 18, together)
    assert [lane for part in parts for lane in part] == list(range(18))
    assert work.calls == calls
    assert device.lanes == left
    assert ("memory ran out for 6 lanes at a time; going on with 3" in caplog.text) == (most == 4)


def test_memory_for_not_even_one_picture_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        Device("cpu", lanes=8).in_parts(Scarce(2), 6, group_size=3)


@pytest.mark.skipif(has_cuda, reason="there is a CUDA device")
def test_cuda_is_refused_where_there_is_none():
    with pytest.raises(ValueError, match=r"sees no CUDA device; use device=cpu"):
        Device("cuda")


@pytest.mark.parametrize("name", ["cpu:x", "cuda:x", "cuda:-1"])
def test_a_malformed_number_of_a_device_is_refused(name):
    with pytest.raises(ValueError, match=r"device"):
        Device(name)


@pytest.mark.parametrize("config", sorted(p.stem for p in (config_dir() / "device").glob("*.yaml")))
def test_every_config_compresses_and_decompresses(config):
    if config == "cuda" and not has_cuda:
        pytest.skip("no CUDA device")
    codec = tiny_codec(device=instantiate(compose_config(f"device={config}").device))
    decoded = codec.decode(codec.encode(smooth_images(2)))
    assert decoded.shape == (2, 3, 32, 32)
    assert decoded.device.type == "cpu"


def test_bfloat16_finds_nearly_the_same_picture():
    images = smooth_images(2)
    decoded = []
    for dtype in ("float32", "bfloat16"):
        codec = tiny_codec(device=Device("cpu", dtype))
        decoded.append(codec.decode(codec.encode(images)).float())
    assert (decoded[0] - decoded[1]).abs().mean() < 12


@pytest.mark.skipif(not has_cuda, reason="no CUDA device")
def test_cuda_and_cpu_agree():
    images = smooth_images(3)
    on_cpu, on_cuda = (tiny_codec(device=Device(name, "float32")) for name in ("cpu", "cuda"))
    assert on_cuda.encode(images) == on_cpu.encode(images)
    blobs = on_cpu.encode(images)
    difference = on_cpu.decode(blobs).int() - on_cuda.decode(blobs).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("module", ["ganrev", "ganrev.app", "experiments.bench.benchmark", "baselines.pca"])
@pytest.mark.parametrize(("theirs", "expected"), [(None, "500"), ("7", "7")])
def test_openmp_spins_briefly_unless_the_user_says_otherwise(module, theirs, expected):
    """However the program is started: the value is there before torch, which reads it once, is imported."""
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    code = (
        "import builtins, os; real = builtins.__import__; seen = []\n"
        "def note(name, *rest):\n"
        "    seen.append(os.environ.get('GOMP_SPINCOUNT')) if name == 'torch' and not seen else None\n"
        "    if name == 'torch': raise SystemExit(print(seen[0]))\n"
        "    return real(name, *rest)\n"
        f"builtins.__import__ = note; import {module}, torch"
    )
    environment |= {"GOMP_SPINCOUNT": theirs} if theirs else {}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
