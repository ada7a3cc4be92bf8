"""Manifests: who is on which picture."""

import pytest

from ganrev.data.manifest import read_manifest


def test_numbers_and_people_are_read(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbfsplit,identity,celeba_id\r\ntrain,7,000012\r\n\r\nvalid, 8,3\r\n")
    assert read_manifest(tmp_path / "m.csv") == {12: 7, 3: 8}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "it has no column celeba_id and no column identity"),
        (b"celeba_id,person\n1,2\n", r"it has no column identity\); give a CSV"),
        (b"celeba_id,identity\n1,2\n3,somebody\n", "line 3 has identity 'somebody'"),
        (b"celeba_id,identity\n1\n", "line 2 has identity ''"),
        (b"celeba_id,identity\n1.5,2\n", "line 2 has celeba_id '1.5'"),
        (b"celeba_id,identity\n\xff,2\n", "codec can't decode"),
    ],
)
def test_another_file_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_manifest(tmp_path / "m.csv")
    assert str(caught.value).startswith(f"{tmp_path / 'm.csv'} cannot be read (")
