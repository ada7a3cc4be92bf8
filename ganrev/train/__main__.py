"""`python -m ganrev.train train.faces=[shard.tar] train.valid=folder`: train the embedded generator.

A killed run goes on where it stopped, by the same command. Two milestones stay beside the final weights:
`pca.safetensors`, the linear generator that training starts from, and `reconstruction.safetensors`, the one that the
adversary joins.
"""

import copy
import csv
import math
import time
from pathlib import Path

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from ganrev.device import Device
from ganrev.errors import plain_errors
from ganrev.generator.embedded import LATENT_DIM, EmbeddedNetwork, save
from ganrev.losses import MSE, SSIM
from ganrev.options import is_whole
from ganrev.paths import config_dir
from ganrev.perceptual import STLPIPS
from ganrev.pixels import to_x
from ganrev.train.card import publish
from ganrev.train.corpus import batch_at, deblur, load_corpus
from ganrev.train.networks import (
    Discriminator,
    Encoder,
    discriminator_loss,
    generator_loss,
    principal_components,
    start_from_components,
)


class Training:
    """The state of one training run: networks, optimisers and the step reached."""

    def __init__(self, cfg: DictConfig, components: tuple[Tensor, Tensor, Tensor]) -> None:
        self.cfg = cfg
        self.device = Device(cfg.device).torch_device
        torch.manual_seed(cfg.seed)
        self.network = EmbeddedNetwork()
        start_from_components(self.network, *components, cfg.spread)
        self.encoder = Encoder(*components, cfg.spread * self.network.prior_std)
        self.discriminator = Discriminator()
        for module in (self.network, self.encoder, self.discriminator):
            module.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.encoder_average = copy.deepcopy(self.encoder).requires_grad_(False)
        self.still = copy.deepcopy(self.network).requires_grad_(False).bfloat16()  # what latents are refined against
        linear = list(self.network.linear.parameters())
        rest = [p for n, p in self.network.named_parameters() if not n.startswith("linear.")]
        rest += list(self.encoder.parameters())
        groups = [{"params": linear, "lr": cfg.lr_linear}, {"params": rest, "lr": cfg.lr}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=1e-4)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), cfg.lr_discriminator, betas=(0.0, 0.99))
        self.ssim, self.mse = SSIM().to(self.device), MSE()
        # Now rather than when it joins: without its extra, hours of training would end there.
        self.perceptual = STLPIPS("alex").to(self.device) if self.joins_at < cfg.steps else None
        self.step = 0
        self.seconds = 0.0

    @property
    def joins_at(self) -> int:
        """The first step with the adversary and the perceptual loss."""
        return math.ceil(self.cfg.adversary_from * self.cfg.steps)

    @property
    def sharpening(self) -> bool:
        """Whether the adversary and the perceptual loss have joined."""
        return self.step >= self.joins_at

    @property
    def refining(self) -> bool:
        """Whether the encoder's proposals are refined by reversal before the generator learns from them."""
        return self.step >= math.ceil(self.cfg.refine_from * self.cfg.steps)

    def _learning_rates(self) -> tuple[float, float]:
        """Return the rates of the linear map and of the rest: a cosine over each of the three phases."""
        cfg = self.cfg
        ends = [share * cfg.steps for share in (cfg.refine_from, cfg.adversary_from, 1.0)]
        phase = self.refining + self.sharpening
        begin, end = [0.0, *ends][phase], ends[phase]
        lr = (cfg.lr, cfg.lr_refining, cfg.lr_sharpening)[phase]
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (self.step - begin) / max(1.0, end - begin))))
        factor = min(1.0, (self.step + 1) / 100) * (0.05 + 0.95 * cosine)
        return cfg.lr_linear * factor, lr * factor

    def state(self) -> dict:
        parts = (
            "network",
            "encoder",
            "discriminator",
            "average",
            "encoder_average",
            "optimizer",
            "optimizer_d",
        )
        return {name: getattr(self, name).state_dict() for name in parts} | {
            "step": self.step,
            "seconds": self.seconds,
        }

    def load(self, state: dict) -> None:
        self.step, self.seconds = state.pop("step"), state.pop("seconds")
        for name, values in state.items():
            getattr(self, name).load_state_dict(values)

    def advance(self, images: Tensor) -> dict[str, float]:
        """Take one step on uint8 images [N, 3, 128, 128]; returns the loss terms."""
        cfg = self.cfg
        for group, lr in zip(self.optimizer.param_groups, self._learning_rates(), strict=True):
            group["lr"] = lr
        rng = torch.Generator().manual_seed(cfg.seed * 7_919 + self.step)
        strength = cfg.deblur * torch.rand(len(images), generator=rng)
        x = deblur(to_x(images.to(self.device)), strength.to(self.device)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            proposal = self.encoder(x)
        # What the generator wants of refined latents is asked of the encoder.
        z = self._refine(proposal, x) + proposal - proposal.detach() if self.refining else proposal
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            z = z + cfg.latent_noise * torch.randn(z.shape, generator=rng).to(self.device)
            drawn = self.network(z)
        terms = {"mse": self.mse(drawn, x).mean(), "ssim": self.ssim(drawn, x).mean()}
        total = cfg.mse_weight * terms["mse"] + cfg.ssim_weight * terms["ssim"]
        if self.sharpening:
            sharp, terms_s = self._sharpen(x, drawn, rng)
            total, terms = total + sharp, terms | terms_s
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        self.optimizer.step()
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def _refine(self, proposal: Tensor, x: Tensor) -> Tensor:
        """Return latents [N, D] a few steps of reversal away from the encoder's proposal.

        Reversal ends elsewhere than the encoder points, and the generator is to be good where it will be used. Source:
        Bojanowski et al. 2018, "Optimizing the latent space of generative networks", with a better start.
        """
        with torch.no_grad():
            torch._foreach_copy_(list(self.still.parameters()), list(self.network.parameters()))
        z = proposal.detach().float().requires_grad_(True)
        optimizer = torch.optim.Adam([z], lr=self.cfg.refine_lr, betas=(0.8, 0.95))
        for _ in range(self.cfg.refine_steps):
            (z.grad,) = torch.autograd.grad(self.ssim(self.still(z), x).sum(), z)
            optimizer.step()
        return z.detach()

    def _sharpen(self, x: Tensor, drawn: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Perceptual loss on the reconstruction, adversary on it and on samples; trains the discriminator too."""
        cfg = self.cfg
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            sampled = self.network(self.network.sample_prior(cfg.prior_batch, rng).to(self.device))
            fake = torch.cat((drawn, sampled))
            self.discriminator.requires_grad_(True)
            loss_d = discriminator_loss(self.discriminator(x), self.discriminator(fake.detach()))
        self.optimizer_d.zero_grad(set_to_none=True)
        loss_d.backward()
        self.optimizer_d.step()
        self.discriminator.requires_grad_(False)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            verdict = self.discriminator(fake)
            redrawn = generator_loss([head[: len(x)] for head in verdict])
            samples = generator_loss([head[len(x) :] for head in verdict])
            few = cfg.perceptual_batch
            perceptual = self.perceptual(drawn[:few], x[:few]).mean()
        terms = {"perceptual": perceptual, "adversary": redrawn, "samples": samples, "discriminator": loss_d}
        weights = (cfg.perceptual_weight, cfg.adversary_weight, cfg.samples_weight)
        return sum(w * term for w, term in zip(weights, (perceptual, redrawn, samples), strict=True)), terms

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.cfg.ema, (self.step + 1) / (self.step + 10))
        for average, live in ((self.average, self.network), (self.encoder_average, self.encoder)):
            torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - decay)


@torch.no_grad()
def validation_scores(training: Training, images: Tensor) -> dict[str, float]:
    """SSIM and PSNR of faces redrawn from the encoder's proposal, with averaged weights."""
    ssim, mse = [], []
    for part in images.split(16):
        x = to_x(part.to(training.device))
        with torch.autocast(training.device.type, dtype=torch.bfloat16):
            drawn = training.average(training.encoder_average(x)).clamp(-1, 1)
        ssim.append(1 - training.ssim(drawn, x))
        mse.append(training.mse(drawn, x))
    psnr = 10 * torch.log10(4 / torch.cat(mse))
    return {"valid_ssim": float(torch.cat(ssim).mean()), "valid_psnr": float(psnr.mean())}


@torch.no_grad()
def save_grid(training: Training, images: Tensor, path: Path) -> None:
    """Three rows of up to eight: faces, redrawn faces, samples from the prior."""
    x = to_x(images[:8].to(training.device))
    z = training.network.sample_prior(len(x), torch.Generator().manual_seed(1)).to(training.device)
    rows = [x, training.average(training.encoder_average(x)), training.average(z)]
    grid = torch.cat([torch.cat(list(row.clamp(-1, 1)), dim=2) for row in rows], dim=1)
    pixels = ((grid + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(path)


def check(cfg: DictConfig) -> None:
    """Raise ValueError for what would stop the training only after hours; makes whole numbers of 1e3 and the like."""
    missing = [f"train.{key}" for key in ("faces", "valid") if OmegaConf.is_missing(cfg, key)]
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} not set: give train.faces=[shard.tar,folder], 128 x 128 faces to train on, and "
            "train.valid=folder, others to score on; "
            'with make: make generator ARGS="train.faces=[shard.tar] train.valid=folder"'
        )
    sizes = ("steps", "batch_size", "prior_batch", "perceptual_batch", "score_every")
    for key in (*sizes, "card_faces", "table_faces", "nudged_faces"):
        if not (is_whole(cfg[key]) and cfg[key] >= 1):
            raise ValueError(f"train.{key} must be a whole number of at least 1, got {cfg[key]!r}")
        cfg[key] = int(cfg[key])
    if cfg.manifest and not Path(cfg.manifest).is_file():
        raise ValueError(f"train.manifest={cfg.manifest} is no file; give a CSV with celeba_id and identity, or null")


def prepare(cfg: DictConfig, out: Path, images: Tensor) -> Training:
    """Build a fresh run or resume from the last checkpoint; writes the first milestone, the linear generator."""
    checkpoint, saved = out / "checkpoint.pt", out / "components.pt"
    if not saved.exists():
        print("fitting principal components", flush=True)
        store(principal_components(images, LATENT_DIM, 64, cfg.seed), saved)
    training = Training(cfg, torch.load(saved, weights_only=True))
    save(training.average, out / "pca.safetensors")
    if checkpoint.exists():
        training.load(torch.load(checkpoint, weights_only=True))
        print(f"resuming at step {training.step}", flush=True)
    else:
        (out / "reconstruction.safetensors").unlink(missing_ok=True)  # another run's
    return training


def store(content: object, path: Path) -> None:
    """Write a file for torch.load, which never exists half-written."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.replace(path)


def log_row(path: Path, row: dict[str, float]) -> None:
    fields = [
        "step",
        "seconds",
        "mse",
        "ssim",
        "perceptual",
        "adversary",
        "samples",
        "discriminator",
        "valid_ssim",
        "valid_psnr",
    ]
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="")
        if new:
            writer.writeheader()
        writer.writerow({k: round(v, 5) for k, v in row.items()})


def train(cfg: DictConfig) -> Path:
    """Train to `cfg.steps`, scoring, logging and checkpointing on the way; returns the weights' file."""
    check(cfg)
    if isinstance(cfg.faces, str):
        cfg.faces = [cfg.faces]
    names, images = load_corpus(list(cfg.faces))
    valid_names, valid = load_corpus([cfg.valid])
    out = Path(cfg.out)
    out.mkdir(parents=True, exist_ok=True)
    training = prepare(cfg, out, images)
    bar = tqdm(total=cfg.steps, initial=training.step, unit="step", mininterval=10)
    began = time.perf_counter() - training.seconds
    reconstruction = out / "reconstruction.safetensors"
    while training.step < cfg.steps:
        # Only at that very step: a run resumed after it, or prolonged, is no longer what the adversary met.
        if training.step == training.joins_at and not reconstruction.exists():
            save(training.average, reconstruction)
        chosen, flips = batch_at(len(images), cfg.batch_size, training.step, cfg.seed)
        batch = images[chosen]
        batch = torch.where(flips.view(-1, 1, 1, 1), batch.flip(-1), batch)
        terms = training.advance(batch)
        bar.update()
        if training.step % cfg.score_every == 0 or training.step == cfg.steps:
            training.seconds = time.perf_counter() - began
            scores = validation_scores(training, valid)
            log_row(out / "log.csv", {"step": training.step, "seconds": training.seconds} | terms | scores)
            save_grid(training, valid, out / "grid.png")
            store(training.state(), out / "checkpoint.pt")
            bar.set_postfix(scores)
    bar.close()
    weights = publish(cfg, training.average, (names, images), (valid_names, valid), training.seconds)
    print(f"{weights} and its card {weights.with_suffix('.json')}", flush=True)
    return weights


@hydra.main(config_path=str(config_dir()), config_name="train", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Command line; a user's mistake prints one line and exits with 2."""
    with plain_errors():
        train(cfg.train)


if __name__ == "__main__":
    main()
