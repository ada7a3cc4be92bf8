"""Makers of folders and tar shards of faces, as training takes them."""

import io
import tarfile

from ganrev.pixels import to_pillow


def as_png(image):
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def write_folder(folder, images, first=0):
    """Write pictures named by numbers, as CelebA's are."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images, start=first):
        (folder / f"{number:06d}.png").write_bytes(as_png(image))
    return folder


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
