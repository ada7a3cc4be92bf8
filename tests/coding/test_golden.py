"""Golden files: what was written once decodes to the same symbols for ever (tests/golden/make.py made them)."""

import hashlib
import math
import os
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ganrev.coding import backends, container
from ganrev.coding.frame import ContainerError, CorruptFileError
from ganrev.coding.range_coder import scale_codes
from ganrev.paths import checkout
from tests.golden.make import BACK_ENDS, FOLDER, codec_for, read_record

RECORD = read_record()
FILES = RECORD["files"]
INTEGER_CODERS = {BACK_ENDS[kind].code for kind in ("none", "flat", "adaptive", "prior", "fitted")}
# How many files there were when the set was last added to, and the SHA-256 of these.
FIRST_FILES = 81
FIRST_DIGEST = "1968eabdc85a35675517ed48b9e401f2aa1875dc469f87b5f017a87c8eb8c888"

every_file = pytest.mark.parametrize("name", FILES)
file_of_z_alone = pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("v3")])
GRID_STEP = 4.0  # what multiplies a file's step size for the 96 latents beyond z


def blob_of(name):
    return (FOLDER / name).read_bytes()


def symbols_of(name):
    """Return what a file was made of: int32 symbols [D], or float32 latents."""
    return np.array(RECORD["vectors"][FILES[name]["vector"]], np.int32 if FILES[name]["step"] else np.float32)


def table_of(name):
    """Return the deviations and the steps of z's latents that the generator was told, float32 [D] each."""
    num_latents, table = len(symbols_of(name)), RECORD["tables"][FILES[name]["table"]]
    num_latents -= 96 * has_grid(name)
    if table is None:
        return np.full(num_latents, 1 / math.sqrt(3), np.float32), np.ones(num_latents, np.float32)
    return np.array(table["deviations"], np.float32), np.array(table["steps"], np.float32)


def is_scaled(name):
    return not name.startswith("v1")


def has_grid(name):
    return name.startswith("v3")


def steps_of(name):
    """Return what a symbol of each latent is worth in units of z, float32 [D]."""
    steps = table_of(name)[1]
    if has_grid(name):
        steps = np.append(steps, np.full(96, GRID_STEP, np.float32))
    return np.float32(FILES[name]["step"]) * (steps if is_scaled(name) else np.ones_like(steps))


def latents_of(name):
    """Return the latents that a file must decode to, float32 [D]."""
    symbols = symbols_of(name).astype(np.float32)
    return symbols * steps_of(name) if FILES[name]["step"] else symbols


def codec_of(name, back_end=None):
    case = FILES[name]
    table, num_latents = RECORD["tables"][case["table"]], len(symbols_of(name))
    if has_grid(name):
        return codec_for(num_latents, table, BACK_ENDS["fitted"], True, "all")
    return codec_for(num_latents, table, back_end or backends.Store(), is_scaled(name))


def groups():
    """Return names of files by the table and the number of latents, those that one generator decodes."""
    found = defaultdict(list)
    for name, case in FILES.items():
        found[case["table"], len(symbols_of(name))].append(name)
    return list(found.values())


def same_bits(latents, expected):
    return latents.dtype == torch.float32 and latents.numpy().tobytes() == np.stack(expected).tobytes()


@file_of_z_alone
def test_a_file_holds_its_symbols(name):
    content = container.read(blob_of(name))
    assert (content.step_size, content.scaled) == (FILES[name]["step"], is_scaled(name))
    steps = steps_of(name) if content.step_size else np.ones(len(symbols_of(name)), np.float32)
    decoded = backends.by_code(content.entropy_code).decode(content.payload, scale_codes(table_of(name)[0], steps))
    assert decoded.dtype == symbols_of(name).dtype
    assert decoded.tobytes() == symbols_of(name).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("names", groups(), ids=lambda names: f"{FILES[names[0]]['table']} {len(names)}")
def test_files_decode_to_their_latents_alone_and_in_any_batch(names, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for batch in (names, names[::-1], *([name] for name in names)):
            decoded = codec_of(batch[0]).latents([blob_of(name) for name in batch])
            assert same_bits(decoded, [latents_of(name) for name in batch]), batch
    finally:
        torch.set_num_threads(before)


def test_a_fresh_process_decodes_the_same_in_another_order():
    program = (
        "from tests.coding.test_golden import FILES, blob_of, codec_of\n"
        "for name in reversed(FILES): print(name, codec_of(name).latents([blob_of(name)]).numpy().tobytes().hex())"
    )
    root = str(checkout())
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{name} {latents_of(name).tobytes().hex()}" for name in reversed(FILES)]


@every_file
def test_integer_coders_write_the_same_bytes_today(name):
    blob = blob_of(name)
    back_end = backends.by_code(container.read(blob).entropy_code)
    written = codec_of(name, back_end).coder.write(symbols_of(name), FILES[name]["step"])
    if back_end.code in INTEGER_CODERS:
        assert written == blob
    else:  # another version of the library may pack otherwise
        assert same_bits(codec_of(name).latents([written]), [latents_of(name)])


@every_file
def test_an_altered_byte_or_a_cut_is_noticed(name):
    blob, codec = blob_of(name), codec_of(name)
    for place in range(len(blob)):
        altered = blob[:place] + bytes([blob[place] ^ (1 + place % 255)]) + blob[place + 1 :]
        with pytest.raises(ContainerError if place < 3 else CorruptFileError):  # the magic, the version
            codec.latents([altered])
        with pytest.raises(ContainerError if place < 2 else CorruptFileError):
            codec.latents([blob[:place]])


# ---- the set itself


def test_every_back_end_has_golden_files_of_its_versions():
    contents = [container.read(blob_of(name)) for name in FILES]
    known = set()
    for code in range(16):
        try:
            known.add(backends.by_code(code).code)
        except ValueError:
            continue
    expected = {(code, version) for code in known for version in (1, 2)} | {(BACK_ENDS["fitted"].code, 3)}
    assert {(content.entropy_code, content.version) for content in contents} == expected


def test_the_set_is_only_ever_added_to():
    digest = hashlib.sha256()
    for name in list(FILES)[:FIRST_FILES]:
        for part in (name.encode(), blob_of(name), latents_of(name).tobytes()):
            digest.update(part)
    assert digest.hexdigest() == FIRST_DIGEST
    assert {path.name for path in FOLDER.glob("*.gr")} == set(FILES)


# ---- any other file


@st.composite
def drawn(draw):
    """Draw symbols int32 [D], a table and the bits of a step."""
    size = draw(st.integers(1, 16))
    symbols = arrays(np.int32, size, elements=st.integers(-4, 4) | st.integers(-32767, 32767))
    widths = arrays(np.float32, size, elements=st.floats(2.0**-9, 2.0**9, width=32))
    step = np.array([draw(st.integers(0x3000, 0x5000)) << 16], np.uint32).view(np.float32)  # 5e-10 to 9e9, a bfloat16
    return draw(symbols), {"deviations": draw(widths), "steps": draw(widths)}, step[0]


@pytest.mark.parametrize("kind", BACK_ENDS)
@settings(max_examples=25, deadline=None)  # the machine may be busy
@given(drawn=drawn(), scaled=st.booleans())
def test_whatever_is_written_comes_back(kind, drawn, scaled):
    symbols, table, step = drawn
    codec = codec_for(len(symbols), {part: values.tolist() for part, values in table.items()}, BACK_ENDS[kind], scaled)
    blob = codec.coder.write(symbols, float(step))
    assert same_bits(codec.latents([blob]), [symbols.astype(np.float32) * (step * table["steps"] if scaled else step)])
    assert codec.coder.write(symbols, float(step)) == blob
