"""`ganrev demo`, and how well alignment and QR codes work: `alignment`, `qr-codes`."""

import os
from pathlib import Path

import click

from ganrev.commands import show_warnings, with_overrides


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8128, show_default=True, help="0: any that is free")
@with_overrides
def demo(port: int, overrides: tuple[str, ...]) -> None:
    """Serve a page to try it on, on this machine alone, until Ctrl-C.

    Drop a photo of any size: the face is found, aligned, compressed to a size or a quality, and shown beside JPEG, WebP
    and AVIF of as many bytes. Nothing is written to the disk.

    \b
    ganrev demo
    ganrev demo --port 0 codec.restarts=2
    """
    from ganrev.demo.serving import serve

    show_warnings()
    serve(port, overrides, lambda address: print(f"the page is at {address} until Ctrl-C", flush=True))
    print("\nthe page is closed", flush=True)
    # A thread may still be at a face, in native code that an orderly exit would wait for or crash in. Nothing is lost.
    os._exit(0)


@click.command()
@click.option(
    "--faces", type=click.Path(path_type=Path), required=True, help="folder of faces in CelebA's frame, 128 x 128"
)
@click.option("-n", "limit", type=click.IntRange(min=1), help="of them  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="of the places where they are pasted")
def alignment(faces: Path, limit: int | None, seed: int) -> None:
    """Turn, scale and paste faces into larger pictures, find them, and print how far the frames are off.

    \b
    ganrev alignment --faces held-out
    """
    from experiments.alignment import measure

    show_warnings()
    print(measure(faces, limit, seed))


@click.command("qr-codes")
@click.option(
    "--bytes", "sizes", multiple=True, type=click.IntRange(1, 2331), default=(120, 250, 445, 700), show_default=True
)
@click.option("-n", "number", type=click.IntRange(min=1), default=100, show_default=True, help="files of each size")
@click.option("--seed", type=int, default=0, show_default=True)
def qr_codes(sizes: tuple[int, ...], number: int, seed: int) -> None:
    """Print how many QR codes are read back byte for byte, from their own PNG and from simulated photos of a print.

    \b
    ganrev qr-codes --bytes 250
    """
    from experiments.qr_codes import measure

    print(measure(sizes, number, seed))
