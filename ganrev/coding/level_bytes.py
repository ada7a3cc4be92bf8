"""Where the bytes of a `.gr` file go: header, z, and the latents beyond z."""

import torch

from ganrev.coding import container
from ganrev.coding.latent_coder import CodeLengths, LatentCoder
from ganrev.coding.quantiser import quantise


def level_bytes(coder: LatentCoder, blob: bytes) -> dict[str, float]:
    """Return the bytes of a file's `header`, `z` and `grid`, which add up to the file's.

    What z takes of a payload that holds both is its ideal code length; in one stream there is no border.

    Raises:
        ganrev.coding.frame.ContainerError: the file is corrupt, foreign, or made with other weights.
    """
    content = container.read(blob)
    header = len(blob) - len(content.payload)
    if not content.has_grid:
        return {"header": float(header), "z": float(len(content.payload)), "grid": 0.0}
    z = coder.read(blob)[: coder.generator.latent_dim]
    symbols = quantise(z, coder.step_sizes(content.step_size, True, "z"))[None]
    codes = coder.z_codes(symbols, torch.tensor([content.step_size]))
    lengths = CodeLengths(codes, int(symbols.abs().max()), symbols.device)
    of_z = float(lengths.num_bytes(symbols))
    return {"header": float(header), "z": of_z, "grid": len(content.payload) - of_z}
