"""`make guided`: mutants that are kept where they reach new lines of the decoder (Atheris, libFuzzer for Python).

`python -m tests.fuzz.guided container --minutes 15`, or `pca`. Inputs begin with a byte that chooses one of the
decoders; checksums and fingerprints are made to fit, or all inputs would end there. libFuzzer prints what it has run
(`exec`, edges as `cov`), and stops at the first exception that is not documented, at 10 seconds, or at 1500 MB.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ganrev.coding", "ganrev.codecs.latent_codec", "baselines.pca"]):
    import ganrev.codecs.latent_codec
    import ganrev.coding.latent_coder  # noqa: F401
    from baselines import pca  # noqa: F401

import torch

from ganrev.coding.frame import ContainerError
from tests.fuzz.mutating import seed_mark
from tests.fuzz.targets import Target, gr_targets, pca_target

_SECONDS, _MEGABYTES = 10, 1500


def fitting(target: Target, blob: bytes) -> bytes:
    """Return a file with the magic, the fingerprint and the checksum that the decoder expects."""
    seed = target.seeds[0]
    changed = bytearray(blob)
    changed[: target.num_kept] = seed[: target.num_kept]
    if target.header and target.header(changed):
        changed[seed_mark(target, changed)] = seed[seed_mark(target, seed)]
    return target.with_checksum(bytes(changed))


def run(targets: list[Target], minutes: float, findings: Path) -> None:
    """Hand over to libFuzzer, which ends the process."""

    def decode_one(data: bytes) -> None:
        if data:
            target = targets[data[0] % len(targets)]
            with contextlib.suppress(ContainerError):
                target.decode(fitting(target, data[1:]))

    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, target in enumerate(targets):
            for place, seed in enumerate(target.seeds):
                (Path(corpus) / f"{number}-{place}").write_bytes(bytes([number]) + seed)
        limits = [f"-max_total_time={int(60 * minutes)}", f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}"]
        kept = [f"-artifact_prefix={findings}/", "-max_len=4096", "-print_final_stats=1", "-close_fd_mask=0"]
        atheris.Setup([sys.argv[0], *limits, *kept, corpus], decode_one)
        atheris.Fuzz()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make guided", description=__doc__)
    parser.add_argument("what", choices=("container", "pca"))
    parser.add_argument("--minutes", type=float, default=15.0, help="[default: 15]")
    parser.add_argument("--findings", type=Path, default=Path("results/fuzz"), help="folder  [default: results/fuzz]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    targets = [pca_target()] if options.what == "pca" else gr_targets()
    run(targets, options.minutes, options.findings)


if __name__ == "__main__":
    main()
