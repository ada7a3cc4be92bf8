"""`python -m experiments.verify RUN ...`: do a run's files still give its scores, and each picture alone the same?"""

import argparse
import logging
import shutil
import tempfile
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from ganrev import harness
from ganrev.data.pictures import Pictures
from ganrev.errors import plain_errors
from ganrev.metrics import distortion
from ganrev.runner import load_pictures, load_rows

TOLERANCE = 1e-3


def _config(run: Path) -> DictConfig:
    path = run / "config.yaml"
    if not path.is_file():
        raise ValueError(f"{run} is no finished run: it has no config.yaml; give folders like results/runs/<run_id>")
    return OmegaConf.load(path)


def rescore(run: Path, pictures: Pictures) -> dict[str, float]:
    """Decode a run's files in a new process; returns the largest change of PSNR (dB) and SSIM.

    A change of infinity counts as none where both are infinite.
    """
    rows = load_rows(run).set_index("name")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copy(run / "config.yaml", copy)
        shutil.copytree(run / "blobs", copy / "blobs")
        harness.decode_all(copy)
        change = {"psnr": 0.0, "ssim": 0.0}
        for name, image in zip(pictures.names, pictures.images, strict=True):
            if name not in rows.index:
                continue  # a picture that failed
            scores = distortion(image, harness.read_decoded(copy, name))
            for key in change:
                before, now = float(rows.loc[name, key]), scores[key]
                change[key] = max(change[key], 0.0 if before == now else abs(before - now))
    return change


def encode_alone(run: Path, config: DictConfig, pictures: Pictures, num_pictures: int) -> float:
    """Compress the first pictures each by itself; returns the largest change of SSIM against the run."""
    rows = load_rows(run).set_index("name")
    codec = instantiate(config.codec)
    largest = 0.0
    for name, image in tqdm(list(zip(pictures.names, pictures.images, strict=True))[:num_pictures], leave=False):
        (blob,) = codec.encode(image[None])
        ssim = distortion(image, codec.decode([blob])[0])["ssim"]
        largest = max(largest, abs(ssim - float(rows.loc[name, "ssim"])))
    return largest


def main() -> None:
    """Print one line a run; exit with status 1 where a score changes by more than 1e-3."""
    parser = argparse.ArgumentParser(prog="python -m experiments.verify", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders like results/runs/<run_id>")
    parser.add_argument("--alone", type=int, default=0, metavar="N", help="compress the first N pictures alone, too")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    bad = False
    with plain_errors():
        for run in arguments.runs:
            config = _config(run)
            pictures = load_pictures(config, instantiate(config.codec).image_size)
            change = rescore(run, pictures)
            line = f"{run.name}: decoded again, PSNR within {change['psnr']:.1e} dB, SSIM within {change['ssim']:.1e}"
            if arguments.alone:
                change["alone"] = encode_alone(run, config, pictures, arguments.alone)
                line += f"; compressed alone, SSIM within {change['alone']:.1e}"
            changed = max(change.values()) > TOLERANCE
            print(f"{line}{'; CHANGED by more than 1e-3' if changed else ''}", flush=True)
            bad = bad or changed
    raise SystemExit(int(bad))


if __name__ == "__main__":
    main()
