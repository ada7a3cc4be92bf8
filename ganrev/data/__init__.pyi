from .celeba import Celeba, CelebaSample
from .corpus import load_corpus
from .folder import Folder
from .formats import decode_picture
from .pictures import Pictures
from .seen import Seen

__all__ = [
    "Celeba",
    "CelebaSample",
    "Folder",
    "Pictures",
    "Seen",
    "decode_picture",
    "load_corpus",
]
