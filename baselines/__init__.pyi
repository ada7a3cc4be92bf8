from .kmeans import KMeans
from .learned.codec import load_autoencoder, load_encoder, load_hyperprior
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
    "load_autoencoder",
    "load_encoder",
    "load_hyperprior",
    "load_pca",
]
