"""Frozen generators: latents in, pictures out."""

from ganrev.generator.base import Generator

__all__ = ["Generator"]
