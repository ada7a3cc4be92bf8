"""How well faces come out with a grid: from its proposals while it is trained, and searched for, for the card."""

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from ganrev.coding.quantiser import step_size_for
from ganrev.generator.embedded import EmbeddedNetwork
from ganrev.pixels import to_images, to_x
from ganrev.progress import ProgressBar
from ganrev.reversal.losses import MSE, SSIM
from ganrev.train.batches import deblur
from ganrev.train.grid_search import GridSearch, LevelledLatents, MixedLoss, PricedFaces

SHARPENED = 0.85  # the faces that are compressed are as sharp as CelebA's own
_PART = 8  # faces at a time
_SETTLE_STEPS, _NUM_PASSES, _LR = 50, 60, 0.05  # of the search for the card
_MIDDLE = 1.2e-4  # price of a byte, over a loss of curvature 1, at which proposals are scored
_CARD_PRICES = (5e-4, 2.2e-4, 1e-4)  # prices of a byte for the card


def _faces(images: Tensor, price: float, device: torch.device) -> PricedFaces:
    """Return uint8 faces [N, 3, 128, 128], sharpened, all at one price."""
    x = to_x(to_images(deblur(to_x(images), torch.full((len(images),), SHARPENED))))
    lmbda, step = torch.full((len(x),), price), torch.full((len(x),), step_size_for(price, 1.0))
    return PricedFaces(x.contiguous(memory_format=torch.channels_last), lmbda, step).to(device)


def _measured(drawn: Tensor, num_bytes: Tensor, x: Tensor) -> Tensor:
    """Return SSIM, PSNR in dB and bytes of each face, [N, 3]."""
    psnr = 10 * torch.log10(4 / MSE()(drawn, x))
    return torch.stack((1 - SSIM().to(x.device)(drawn, x), psnr, num_bytes), dim=1).cpu()


@torch.no_grad()
def scores_of_proposals(latents: LevelledLatents, images: Tensor) -> dict[str, float]:
    """Return mean SSIM, PSNR and ideal bytes of uint8 faces [N, 3, 128, 128] drawn from rounded proposals."""
    rows = []
    for part in images.split(_PART):
        faces = _faces(part, _MIDDLE, latents.device)
        z = latents.rounded_z(faces)
        with torch.autocast(latents.device.type, dtype=torch.bfloat16):
            alone = latents.network(latents.with_empty_grid(z * latents.units(faces)[:, : z.shape[1]]))
            symbols = torch.cat((z, latents.propose_grid(faces, alone).round()), dim=1)
            drawn = latents.network(symbols * latents.units(faces)).clamp(-1, 1)
        rows.append(_measured(drawn, latents.num_bytes(symbols, faces), faces.x))
    ssim, psnr, num_bytes = torch.cat(rows).mean(dim=0).tolist()
    return {"valid_ssim": ssim, "valid_psnr": psnr, "valid_bytes": num_bytes}


def searched_scores(latents: LevelledLatents, images: Tensor, loss: nn.Module, price: float) -> dict[str, float]:
    """Return mean SSIM, PSNR and ideal bytes of uint8 faces [N, 3, 128, 128] whose latents were searched for.

    Args:
        latents: of a trained network.
        images: uint8 [N, 3, 128, 128].
        loss: of curvature 1.
        price: of a byte, in units of the loss.
    """
    search = GridSearch(latents, _NUM_PASSES, _LR)
    rows = []
    for number, part in enumerate(images.split(_PART)):
        held = search.begin(number, _faces(part, price, latents.device), loss, _SETTLE_STEPS)
        search.move(held, _NUM_PASSES, torch.Generator().manual_seed(number))
        symbols = held.symbols.detach().round()
        with torch.no_grad():
            drawn = to_x(to_images(latents.network(symbols * latents.units(held.faces))))
            rows.append(_measured(drawn, latents.num_bytes(symbols, held.faces), held.faces.x))
    ssim, psnr, num_bytes = torch.cat(rows).mean(dim=0).tolist()
    return {"ssim": round(ssim, 4), "psnr": round(psnr, 3), "bytes": round(num_bytes, 1)}


def grid_scores(cfg: DictConfig, network: EmbeddedNetwork, images: Tensor) -> dict[str, object]:
    """Return the scores of a grid for the card, on uint8 faces [N, 3, 128, 128]: each loss at three prices."""
    latents = LevelledLatents(network)
    losses = {"mse": MixedLoss(1, 0), f"ssim + {cfg.grid.mse_weight:g} mse": MixedLoss(cfg.grid.mse_weight, 1)}
    losses["ssim"] = MixedLoss(0, 1)
    tasks = [(name, loss.to(latents.device), price) for name, loss in losses.items() for price in _CARD_PRICES]
    scores: dict[str, object] = {
        "faces": f"the first {len(images)} validation faces, sharpened by {SHARPENED}, never trained on; latents of z "
        "and the grid from the trainer's short search, without the changes of single symbols that follow in a codec; "
        "bytes are ideal code lengths, without a header; prices are of a byte, over a loss of curvature 1"
    }
    for name, loss, price in ProgressBar(tasks, desc="searching for the card", unit="point"):
        scores[f"loss={name} price={price:g}"] = searched_scores(latents, images, loss, price)
    return scores
