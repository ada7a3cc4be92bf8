"""The generator that ships with the package: a linear map refined by convolutions.

512 latents from U[-1, 1] make a 64 x 64 picture by one linear map, initialised with the principal components
of faces so that it is reversible from the first step; a small convolutional branch, which sees that picture,
adds what no linear map can draw at 128 x 128.
"""

import copy
import functools
import hashlib
from itertools import pairwise
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganrev.configuration.options import Positive, checked_options
from ganrev.contamination.card import read_card
from ganrev.files import write_whole
from ganrev.generator.base import Generator
from ganrev.generator.face_prior import face_prior_path, load_face_prior, weights_of
from ganrev.generator.grid import LappedGrid
from ganrev.generator.weights import existing_file, file_digest, load_state, load_tensors
from ganrev.paths import weights_dir

LATENT_DIM = 512
IMAGE_SIZE = 128
_BASE = 64  # side of the linear picture
_WIDTHS = (256, 192, 160, 112, 80)  # channels at 4, 8, 16, 32 and 64 pixels
_HEAD = 24  # channels at 128 pixels
_ROWS = 8  # lanes per matrix product


def _up(channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)


def _act(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)  # in place: nothing else reads x


def _linear(layer: nn.Linear, z: Tensor) -> Tensor:
    """Apply a layer eight rows at a time on a CPU, the last part padded.

    A matrix product rounds differently for another number of rows, and a thousand steps of descent make that
    visible: the same picture would come out differently alone and in a batch.
    """
    if z.device.type != "cpu":
        return layer(z)
    parts = F.pad(z, (0, 0, 0, -len(z) % _ROWS)).split(_ROWS)
    return torch.cat([layer(part) for part in parts])[: len(z)]


@functools.cache
def _enlargement(side: int, device: torch.device) -> Tensor:
    """Return what doubles a column of pixels, bicubic, float32 [2 * side, side]."""
    columns = torch.eye(side, device=device)[None, None]
    return F.interpolate(columns, size=(2 * side, side), mode="bicubic", align_corners=False)[0, 0]


def _enlarge(pictures: Tensor) -> Tensor:
    """Double the side of float32 [N, 3, S, S], bicubic.

    By matrix products, since `F.interpolate` and its gradient take many times as long on a CPU; one by one, so that a
    picture comes out the same alone and in a batch.
    """
    flat = pictures.flatten(0, 1)
    double = _enlargement(flat.shape[-1], flat.device).expand(len(flat), -1, -1)
    return torch.bmm(torch.bmm(double, flat), double.mT).unflatten(0, pictures.shape[:2])


class UpBlock(nn.Module):
    """Double the side, then one residual convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.up = _up(channels_in, channels_out)
        self.conv = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        h = _act(self.up(h))
        return _act(self.conv(h).add_(h))


class EmbeddedNetwork(Generator):
    """The architecture, with fresh weights; `ganrev.generator.load_embedded` brings the trained ones."""

    latent_dim = LATENT_DIM
    image_size = IMAGE_SIZE
    prior = "uniform"
    _normal: Tensor | None = None  # Cholesky factor of the linear map's normal equations, once needed

    def __init__(self) -> None:
        super().__init__()
        w = _WIDTHS
        self.linear = nn.Linear(LATENT_DIM, 3 * _BASE * _BASE)
        self.dense = nn.Linear(LATENT_DIM, w[0] * 4 * 4)
        self.blocks = nn.ModuleList(UpBlock(a, b) for a, b in pairwise(w))
        self.join = nn.Conv2d(3, w[-1], 3, padding=1)
        self.refine1 = nn.Conv2d(w[-1], w[-1], 3, padding=1)
        self.refine2 = nn.Conv2d(w[-1], w[-1], 3, padding=1)
        self.up = _up(w[-1], _HEAD)
        self.head = nn.Conv2d(_HEAD, _HEAD, 3, padding=1)
        self.to_rgb = nn.Conv2d(_HEAD, 3, 3, padding=1)
        nn.init.zeros_(self.to_rgb.weight)  # training starts at the linear picture
        nn.init.zeros_(self.to_rgb.get_parameter("bias"))

    def forward(self, latents: Tensor) -> Tensor:
        z, rest = latents[:, :LATENT_DIM].to(self.linear.weight.dtype), latents[:, LATENT_DIM:]
        picture = _linear(self.linear, z).view(-1, 3, _BASE, _BASE)
        h = _act(_linear(self.dense, z)).view(-1, _WIDTHS[0], 4, 4).contiguous(memory_format=torch.channels_last)
        for block in self.blocks[:-1]:
            h = block(h)
        if not rest.shape[1]:
            return _finish(self._late_layers(), picture, h)
        grid = self.grid
        if not isinstance(grid, LappedGrid):
            raise ValueError(f"got {latents.shape[1]} latents, these weights have {LATENT_DIM}")
        rest = rest.unflatten(1, grid.shape).to(h.dtype)
        drawn = grid.draw(rest)
        return _finish(grid.late, picture, h + grid.tell32(rest), grid.tell_fine(drawn.to(h.dtype))) + drawn

    def _late_layers(self) -> nn.ModuleDict:
        """Return the layers from 32 x 32 on, of which a grid has copies of its own."""
        names = ("join", "refine1", "refine2", "up", "head", "to_rgb")
        return nn.ModuleDict({"block": self.blocks[-1], **{name: self.get_submodule(name) for name in names}})

    def add_grid(self) -> LappedGrid:
        """Give the network a grid, untrained, whose late layers start as the network's own; returns it."""
        grid = LappedGrid(copy.deepcopy(self._late_layers()), (_WIDTHS[3], _WIDTHS[4], _HEAD))
        self.grid = grid
        return grid

    @torch.no_grad()
    def thumbnail_map(self, side: int) -> tuple[Tensor, Tensor]:
        factor = _BASE // side
        blocks = (3, side, factor, side, factor)
        # Means of a power of two of float16 numbers: exact in float64, in any order.
        weight = self.linear.weight.double().view(*blocks, LATENT_DIM).mean(dim=(2, 4)).flatten(0, 2)
        return weight, self.linear.bias.double().view(blocks).mean(dim=(2, 4)).flatten()

    @torch.no_grad()
    def invert_linear_map(self, x: Tensor) -> Tensor:
        """Invert the linear map by least squares: float32 [N, 512] of x [N, 3, 128, 128] in [-1, 1].

        Each picture by itself, so that the result is the same alone and in a batch.
        """
        weight, bias = self.linear.weight.double(), self.linear.bias.double()
        if self._normal is None:
            self._normal = torch.linalg.cholesky(weight.T @ weight)
        wanted = F.interpolate(x.double(), size=_BASE, mode="area").flatten(1) - bias
        projected = torch.stack([weight.T @ row for row in wanted])
        return torch.stack([torch.cholesky_solve(row[:, None], self._normal)[:, 0] for row in projected]).float()


def _finish(layers: nn.ModuleDict, picture: Tensor, h: Tensor, told: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Draw pictures, float32 [N, 3, 128, 128], with the late layers.

    Args:
        layers: of `EmbeddedNetwork._late_layers`, the network's own or a grid's.
        picture: the linear one, [N, 3, 64, 64].
        h: features at 32 x 32.
        told: what a grid adds to the features at 64 x 64 and 128 x 128.
    """
    # Sums in place: nothing else reads what a convolution gives, and a fresh tensor costs more than its sum.
    h = layers["join"](picture.contiguous(memory_format=torch.channels_last)).add_(layers["block"](h))
    h = _act(h if told is None else h.add_(told[0]))
    h = _act(layers["refine2"](_act(layers["refine1"](h))).add_(h))
    h = layers["up"](h)
    h = _act(h if told is None else h.add_(told[1]))
    h = _act(layers["head"](h).add_(h))
    return _enlarge(picture.float()) + layers["to_rgb"](h).float()


def save(network: EmbeddedNetwork, path: str | Path) -> Path:
    """Write the weights as float16 safetensors; returns the path, which never exists half-written.

    Raises:
        ValueError: a weight is not a finite float16 number.
    """
    path = Path(path)
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise ValueError(f"{', '.join(broken)} cannot be stored as finite float16 numbers; save an earlier checkpoint")
    write_whole(path, safetensors.torch.save(tensors))
    return path


@checked_options("generator.")
def load_embedded(path: str | Path | None = None, unseen_scale: Positive | None = None) -> EmbeddedNetwork:
    """Load trained weights, stored as float16, into a frozen float32 network.

    Args:
        path: a safetensors file, or None for the weights that ship with the package. Its card is the JSON
            file beside it, and its table of latents, if it has one, `<name>.latents.safetensors`.
        unseen_scale: factor on z before rounding, for pictures that the generator did not draw; None for the
            card's, or 1 where a file of your own has no card.

    Raises:
        ValueError: a file is missing, damaged or of another network, or its card has no usable scale.
    """
    file = existing_file(weights_dir() / "embedded.safetensors" if path is None else path)
    card = file.with_suffix(".json")
    if unseen_scale is not None:
        scale = unseen_scale
    elif path is not None and not card.exists():
        scale = 1.0
    else:
        scale = _scale_of(card)
    tensors = load_tensors(file)
    with torch.device("meta"):
        network = EmbeddedNetwork()
        if any(name.startswith("grid.") for name in tensors):
            network.add_grid()
    load_state(network, tensors, file)
    if network.grid is not None:
        network.grid.prior.round_weights()
    network.card = card if card.exists() else None
    digest = file_digest(file)
    network.unseen_scale, network.digest = scale, digest
    table = latents_path(file)
    if table.exists():
        network.set_latent_statistics(*_read_latents(table))
        # Files coded with one table decode to nonsense with another: it is a part of the decoder's identity.
        network.digest = hashlib.sha256(f"{digest}/{file_digest(table)}".encode()).hexdigest()
    if face_prior_path(file).exists():
        _add_face_prior(network, file, digest)
    network.freeze()
    return network


def _add_face_prior(network: EmbeddedNetwork, weights: Path, digest: str) -> None:
    """Give a network the density of faces beside its weights, or the reason why it is not theirs.

    It is no part of the digest, and one that cannot be used is no error here: decoding does not need it.
    """
    path = face_prior_path(weights)
    try:
        if weights_of(path) != digest:
            raise ValueError(f"{path} was fitted to other weights than those of {weights.name}")
        prior = load_face_prior(path)
        if prior.latent_dim != network.latent_dim:
            raise ValueError(
                f"{path} is a density over {prior.latent_dim} latents, and these weights have {network.latent_dim}"
            )
    except ValueError as error:
        network.no_face_prior = str(error)
    else:
        network.face_prior = prior


def latents_path(weights: Path) -> Path:
    """Return where the table of a weights' latents lies: `<name>.latents.safetensors` beside them."""
    return weights.with_name(f"{weights.stem}.latents.safetensors")


def _read_latents(table: Path) -> tuple[Tensor, Tensor]:
    """Return deviations and step sizes; ValueError where the file holds no such table."""
    values = load_tensors(table)
    if set(values) != {"deviations", "steps"}:
        raise ValueError(f"{table} is no table of latents (it holds {', '.join(sorted(values))}); fetch it again")
    return values["deviations"], values["steps"]


def save_latents(deviations: Tensor, step_sizes: Tensor, weights: Path) -> Path:
    """Write the table of latents, float32 [512] each (see `Generator.set_latent_statistics`), beside the weights."""
    path = latents_path(weights)
    write_whole(path, safetensors.torch.save({"deviations": deviations.float(), "steps": step_sizes.float()}))
    return path


def _scale_of(card: Path) -> float:
    """Return the key `unseen_scale` of a model card."""
    try:
        scale = read_card(existing_file(card)).unseen_scale
    except ValueError as error:
        raise ValueError(f"{error} or give generator.unseen_scale=") from error
    if scale is None:
        raise ValueError(f"the model card {card} has no key unseen_scale; add it or give generator.unseen_scale=")
    return float(scale)
