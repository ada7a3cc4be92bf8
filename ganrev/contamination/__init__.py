"""What a generator was trained on: its card, and hashes of its faces.

Names are listed in `__init__.pyi` and imported when first used: torch alone takes two seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
