"""Faces in photos of any size, and the frame of CelebA's aligned pictures around one of them.

Names are listed in `__init__.pyi` and imported when first used: OpenCV takes a while.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
