"""Tables of one's own, made in miniature."""

import yaml

from ganrev.paths import config_dir
from tests.calling import call

EXPERIMENTS = sorted((config_dir() / "tables").glob("*.yaml"))
METRICS = {"num_bytes", "paper_bytes", "bpp", "paper_bpp", "psnr", "mse", "ssim", "encode_seconds", "decode_seconds"}


def load(name):
    return yaml.safe_load((config_dir() / "tables" / f"{name}.yaml").read_text())


def run_table(rows, folder, *overrides):
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"rows": rows}))
    printed, status = call("table", f"experiment={path}", *overrides, "--results", folder)
    return printed, status
