"""The `.gr` file: its bytes, and an error with a name for every file that is not one."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganrev.coding import container
from ganrev.coding.container import Container
from ganrev.coding.frame import ContainerError, CorruptFileError, NotAContainerError, WrongGeneratorError

CONTENT = Container(entropy_code=1, step_size=0.25, fingerprint=b"\x01\x23\x45", payload=b"payload")
# magic GR | version 1, back end 1 | 0.25 as float32 | fingerprint | CRC-16 | payload
GOLDEN = bytes.fromhex("4752 11 0000803e 012345 d401 7061796c6f6164")
SCALED = Container(entropy_code=8, step_size=0.25, fingerprint=b"\x01\x23\x45", payload=b"payload", scaled=True)
# magic GR | version 2, back end 8 | 0.25 as bfloat16 | fingerprint | CRC-16 | payload
GOLDEN_SCALED = bytes.fromhex("4752 28 803e 012345 4ae2 7061796c6f6164")

contents = st.builds(
    Container,
    entropy_code=st.integers(0, 15),
    step_size=st.floats(0, 2.0**100, width=32),
    fingerprint=st.binary(min_size=3, max_size=3),
    payload=st.binary(max_size=600),
) | st.builds(
    Container,
    entropy_code=st.integers(0, 15),
    step_size=st.integers(0x0080, 0x7F7F).map(lambda bits: struct.unpack("<f", struct.pack("<HH", 0, bits))[0]),
    fingerprint=st.binary(min_size=3, max_size=3),
    payload=st.binary(max_size=600),
    scaled=st.just(True),
    has_grid=st.booleans(),
)


def crc16_ccitt(data):
    """Compute the checksum bit by bit, by its definition: polynomial 0x1021, start 0xFFFF."""
    register = 0xFFFF
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ 0x1021 if register & 0x8000 else register << 1) & 0xFFFF
    return register


FILES = pytest.mark.parametrize(
    ("content", "golden"), [(CONTENT, GOLDEN), (SCALED, GOLDEN_SCALED)], ids=["version 1", "version 2"]
)


@FILES
def test_golden_bytes(content, golden):
    assert container.write(content) == golden
    assert container.read(golden) == content


@FILES
def test_checksum_is_the_documented_one(content, golden):
    end = len(golden) - len(content.payload)
    assert struct.unpack("<H", golden[end - 2 : end])[0] == crc16_ccitt(golden[: end - 2] + golden[end:])


def refusal(place):
    """Return the error that an alteration deserves: of the magic, of the version (perhaps a newer one's), or later."""
    return (NotAContainerError, NotAContainerError, ContainerError)[place] if place < 3 else CorruptFileError


@settings(deadline=None)  # the machine may be busy
@given(contents)
def test_round_trip_behind_a_header_of_ten_or_twelve_bytes(content):
    blob = container.write(content)
    header = 10 if content.scaled else 12
    assert container.read(blob) == content
    assert blob[header:] == content.payload
    assert container.payload_bytes(blob) == len(content.payload) == len(blob) - header


@settings(deadline=None)  # the machine may be busy
@given(contents, st.data())
def test_an_altered_byte_is_noticed(content, data):
    blob = bytearray(container.write(content))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(refusal(place)):
        container.read(bytes(blob))


@FILES
def test_every_alteration_of_one_byte_is_noticed(content, golden):
    for place in range(len(golden)):
        for value in set(range(256)) - {golden[place]}:
            blob = golden[:place] + bytes([value]) + golden[place + 1 :]
            with pytest.raises(refusal(place)):
                container.read(blob)


@FILES
def test_every_truncation_is_noticed(content, golden):
    for length in range(len(golden)):
        with pytest.raises(NotAContainerError if length < 2 else CorruptFileError):
            container.read(golden[:length])


def test_bytes_after_the_end_are_noticed():
    with pytest.raises(CorruptFileError, match="altered"):
        container.read(GOLDEN + b"\0")


@pytest.mark.parametrize("blob", [b"", b"G", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0" * 8, b"hello, world"])
def test_other_files_are_told_apart(blob):
    with pytest.raises(NotAContainerError, match=r"not a \.gr file"):
        container.read(blob)


def with_checksum(head, payload=b""):
    return head + struct.pack("<H", crc16_ccitt(head + payload)) + payload


def test_a_newer_version_says_so():
    with pytest.raises(NotAContainerError, match=r"version 4, .* reads versions 1, 2, 3"):
        container.read(with_checksum(struct.pack("<2sBf3s", b"GR", 0x41, 1.0, b"abc")))


@pytest.mark.parametrize("step", [-1.0, float("nan"), float("inf")])
def test_an_impossible_step_is_refused_though_its_checksum_is_right(step):
    with pytest.raises(CorruptFileError, match="impossible step"):
        container.read(with_checksum(struct.pack("<2sBf3s", b"GR", 0x11, step, b"abc")))
    (bits,) = struct.unpack("<I", struct.pack("<f", step))
    with pytest.raises(CorruptFileError, match="impossible step"):
        container.read(with_checksum(struct.pack("<2sBH3s", b"GR", 0x28, bits >> 16, b"abc")))


def test_a_wrong_generator_is_named():
    container.check_generator(CONTENT, "012345" + "00" * 29)
    with pytest.raises(WrongGeneratorError, match=r"012345, this one is 012346.*generator="):
        container.check_generator(CONTENT, "012346" + "00" * 29)


def test_files_of_weights_that_shipped_before_name_the_release_that_reads_them():
    earlier = Container(entropy_code=1, step_size=0.25, fingerprint=bytes.fromhex("0075bb"), payload=b"payload")
    container.check_generator(earlier, "0075bb" + "00" * 29)
    with pytest.raises(WrongGeneratorError, match=r"0075bb, this one is 012345; release 0\.1\.0 of ganrev"):
        container.check_generator(earlier, "012345" + "00" * 29)


def test_a_generator_without_digest_writes_no_file():
    with pytest.raises(ValueError, match="SHA-256"):
        container.fingerprint("")


@pytest.mark.parametrize("code", [-1, 16])
def test_an_entropy_code_must_fit_four_bits(code):
    with pytest.raises(ValueError, match="0-15"):
        container.write(Container(code, 1.0, b"abc", b""))


def test_each_error_is_a_container_error_and_a_value_error():
    for error in (NotAContainerError, CorruptFileError, WrongGeneratorError):
        assert issubclass(error, ContainerError)
        assert issubclass(error, ValueError)
