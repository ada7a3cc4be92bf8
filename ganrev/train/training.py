"""One training run: networks, losses, optimisers and phases.

First the generator and an encoder, which is not kept, redraw faces; then the encoder's proposals are refined by a few
steps of reversal; then a perceptual loss and an adversary join.
"""

import copy
import math

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.generator.embedded import EmbeddedNetwork
from ganrev.pixels import to_x
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.perceptual import STLPIPS
from ganrev.train.batches import deblur
from ganrev.train.folder import restore
from ganrev.train.networks import (
    Discriminator,
    Encoder,
    discriminator_loss,
    generator_loss,
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
            module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
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
        # Now rather than when it joins: without its extra, that would end hours of training.
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
        """Whether, in two steps of three, the encoder's proposals are refined by reversal (see `refiner`)."""
        return self.step >= math.ceil(self.cfg.refine_from * self.cfg.steps)

    @property
    def refiner(self) -> nn.Module | None:
        """The loss by which this step's proposals are refined; None where they are taken as they are.

        Once they are refined there are three turns: as they are, so that the encoder keeps up with the generator, then
        by SSIM, then by MSE, whose latents lie elsewhere.
        """
        return (None, self.ssim, self.mse)[self.step % 3] if self.refining else None

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

    def start_from(self, weights: EmbeddedNetwork) -> None:
        """Start a fresh run from trained weights instead of principal components; the faces may be others."""
        for network in (self.network, self.average):
            network.load_state_dict(weights.state_dict())
        for encoder in (self.encoder, self.encoder_average):
            encoder.set_to_inverse_of(weights.linear)

    def state(self) -> dict:
        """Return all that a resumed run needs, for `load`."""
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
        """Go on from what `state` returned."""
        restore(self, state)

    def advance(self, images: Tensor) -> dict[str, float]:
        """Take one step on uint8 images [N, 3, 128, 128]; returns the loss terms."""
        # Set the rates, and sharpen the faces.
        cfg = self.cfg
        for group, lr in zip(self.optimizer.param_groups, self._learning_rates(), strict=True):
            group["lr"] = lr
        rng = torch.Generator().manual_seed(cfg.seed * 7_919 + self.step)
        strength = cfg.deblur_least + (cfg.deblur - cfg.deblur_least) * torch.rand(len(images), generator=rng)
        x = deblur(to_x(images.to(self.device)), strength.to(self.device)).contiguous(memory_format=torch.channels_last)
        # Redraw them.
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            proposal = self.encoder(x)
        refiner = self.refiner
        by_mse = refiner is self.mse
        # Refined latents train only the generator: their gradient would mislead the encoder.
        z = proposal if refiner is None else self._refine(proposal, x, refiner)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            z = z + cfg.latent_noise * torch.randn(z.shape, generator=rng).to(self.device)
            drawn = self.network(z)
        # Step down the weighted losses.
        terms = {"mse": self.mse(drawn, x).mean(), "ssim": self.ssim(drawn, x).mean()}
        mse_weight, ssim_weight = (cfg.turn_mse_weight, 1.0) if by_mse else (cfg.mse_weight, cfg.ssim_weight)
        total = mse_weight * terms["mse"] + ssim_weight * terms["ssim"]
        if self.sharpening and not by_mse:
            sharp, terms_s = self._sharpen(x, drawn, rng)
            total, terms = total + sharp, terms | terms_s
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_([p for g in self.optimizer.param_groups for p in g["params"]], 1.0)
        self.optimizer.step()
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def _refine(self, proposal: Tensor, x: Tensor, loss: nn.Module) -> Tensor:
        """Return latents [N, D] a few steps of reversal away from the encoder's proposal, without its gradient.

        Reversal ends elsewhere than the encoder points, and the generator is to be good where it will be used. Source:
        Bojanowski et al. 2018, "Optimizing the latent space of generative networks", with a better start.
        """
        with torch.no_grad():
            torch._foreach_copy_(list(self.still.parameters()), list(self.network.parameters()))
        z = proposal.detach().float().clone().requires_grad_(True)
        optimizer = torch.optim.Adam([z], lr=self.cfg.refine_lr, betas=(0.8, 0.95))
        for _ in range(self.cfg.refine_steps):
            (z.grad,) = torch.autograd.grad(loss(self.still(z), x).sum(), z)
            optimizer.step()
        return z.detach()

    def _sharpen(self, x: Tensor, drawn: Tensor, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Perceptual loss on the reconstruction, adversary on it and on samples; trains the discriminator too."""
        cfg = self.cfg
        assert self.perceptual is not None  # it was loaded if any step comes this far
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
        """Move the averaged weights towards the present ones."""
        decay = min(self.cfg.ema, (self.step + 1) / (self.step + 10))
        for average, live in ((self.average, self.network), (self.encoder_average, self.encoder)):
            torch._foreach_lerp_(list(average.parameters()), list(live.parameters()), 1 - decay)
