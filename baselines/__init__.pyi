from .kmeans import KMeans
from .newer import AVIF, HEIF, JPEG2000, JXL, WebP
from .pca import PCA, load_pca
from .pillow import JPEG, PNG

__all__ = [
    "AVIF",
    "HEIF",
    "JPEG",
    "JPEG2000",
    "JXL",
    "PCA",
    "PNG",
    "KMeans",
    "WebP",
    "load_pca",
]
