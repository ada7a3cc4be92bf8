"""What latents beyond z and automatic mode cost, beside z alone."""

from collections.abc import Callable, Sequence
from functools import partial

from hydra.utils import instantiate
from torch import Tensor

from experiments.bench import measures
from experiments.bench.points import Plan, rows_of
from experiments.composition import compose_config
from ganrev.codecs.gan import GanCodec
from ganrev.evaluation.decoding import BATCH_SIZE

# z alone and all latents by automatic mode's loss and reversal, at a price of some 400 bytes with a grid.
_PRICED = ("loss=ssim_mse", "reversal=fast", "quant=rd", "quant.lmbda=4e-4", "entropy=range", "entropy.model=fitted")
_SIZES = (120, 250, 445)  # of automatic mode's files, in bytes
_CURVE = (60, 90, 120, 180, 250, 350, 445, 700, 1000, 2000)


def levels(codec: GanCodec, overrides: Sequence[str], images: Tensor, plan: Plan) -> list[dict]:
    """Measure (h): reversal and decoding with all latents beside z alone, and automatic mode; no rows without a grid.

    Args:
        codec: tells whether there is a grid, and the device.
        overrides: the user's, of configs/config.yaml.
        images: uint8 [N, 3, S, S], compressed in one batch.
        plan: how often.
    """
    if codec.generator.grid is None:
        return []

    def make(*own: str) -> GanCodec:
        made: GanCodec = instantiate(compose_config([*own, *overrides]).codec)
        return made

    def timed(work: Callable[[], object], number: int) -> float:
        began = measures.now(codec.device.torch_device)
        work()
        return (measures.now(codec.device.torch_device) - began) / number

    codecs = {name: make(*_PRICED, f"latent={name}") for name in ("z", "all")}
    blobs = {name: one.encode(images) for name, one in codecs.items()}  # burn-in, too
    batches = {name: [few[i % len(few)] for i in range(BATCH_SIZE)] for name, few in blobs.items()}
    to_encode = {name: partial(one.encode, images) for name, one in codecs.items()}
    for size in _SIZES:
        to_encode[f"automatic, {size} bytes"] = partial(
            make("codec=gan_auto", f"codec.target_bytes={size}").encode, images
        )
    curve = make("codec=gan_auto", f"codec.target_bytes={_CURVE[0]}", f"codec.curve={list(_CURVE)}")
    to_encode[f"automatic, {len(_CURVE)} sizes"] = partial(curve.encode, images)
    encoding = {name: partial(timed, work, len(images)) for name, work in to_encode.items()}
    decoding = {name: partial(timed, partial(one.decode, batches[name]), BATCH_SIZE) for name, one in codecs.items()}
    seconds = measures.interleave(encoding, plan.num_long_rounds, "compressing with latents beyond z")
    drawn = measures.interleave(decoding, plan.num_rounds, "decoding latents beyond z")
    sizes = " / ".join(f"{sum(map(len, blobs[name])) / len(images):.0f}" for name in ("all", "z"))
    return [
        *rows_of("h", "seconds_to_encode", "s per image", {(name, len(images)): s for name, s in seconds.items()}),
        *rows_of("h", "encode", "times", {("all / z", len(images)): measures.ratios(seconds["all"], seconds["z"])}),
        *rows_of(
            "h", "decode_files", "times", {(f"{sizes} bytes", BATCH_SIZE): measures.ratios(drawn["all"], drawn["z"])}
        ),
    ]
