from .kmeans import KMeans
from .pca import PCA, load_pca
from .pillow import JPEG, PNG

__all__ = [
    "JPEG",
    "PCA",
    "PNG",
    "KMeans",
    "load_pca",
]
