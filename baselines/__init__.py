"""Other people's codecs behind the same protocol.

Names are listed in `__init__.pyi` and imported when first used: torch alone takes two seconds.
"""

import lazy_loader

import ganrev  # noqa: F401 - sets how OpenMP waits, before torch is imported

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
