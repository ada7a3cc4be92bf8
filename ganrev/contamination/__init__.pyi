from .card import KnownFaces, ModelCard, read_card, write_card
from .hashes import FaceHashes, hash_faces

__all__ = [
    "FaceHashes",
    "KnownFaces",
    "ModelCard",
    "hash_faces",
    "read_card",
    "write_card",
]
