from .app import make_app
from .serving import serve

__all__ = ["make_app", "serve"]
