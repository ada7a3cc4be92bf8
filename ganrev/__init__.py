"""GAN Reversal: compress a face by finding the latent vector of a frozen generator that redraws it.

import ganrev
blob = ganrev.compress(picture)
pixels = ganrev.decompress(blob)

Names are listed in `__init__.pyi` and imported when first used: torch alone takes two seconds, and `ganrev --help`
needs none of it.
"""

import os

import lazy_loader

__version__ = "0.2.0"

# OpenMP's threads spin while they wait for each other. Two processes on the same cores then mostly wait: two reversals
# take fifteen times as long as one. A short spin mends that and costs a lone process next to nothing: on two idle cores
# one and two reversals of 300 steps took 8.9 s and minutes with the long spin, 8.8 and 19.7 s with 2000 turns, 8.6 and
# 16.3 with 1000, 8.8 and 14.1 with 500. It is read once, when torch loads the OpenMP library, and so it stands here,
# before any module of the package imports torch.
os.environ.setdefault("GOMP_SPINCOUNT", "500")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
