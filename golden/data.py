"""Pictures of people for the face task: where they come from, how they are split, how they are augmented.

Sources, in this order; the one used is named in `Pictures.source`, and every reason an earlier one was passed over in
`Pictures.passed_over`:

1. ``olivetti_0_19.npz`` in the folder that the environment variable ``RMDLORA_DATA`` names (default: ``shared/data``
   beside the repository);
2. the Olivetti faces through scikit-learn's downloader, which keeps a copy in the user's home;
3. the handwritten digits that ship inside scikit-learn: no network, and no faces, but the same flow.

The faces are those of the Olivetti Research Laboratory (Samaria & Harter 1994).
"""

import dataclasses
import math
import os
import pathlib
import socket
import warnings
import zipfile

import numpy as np
import torch

from .spec.refusal import RefusedValue

__all__ = ["Pictures", "Split", "augment", "fold_pictures", "load_pictures", "shrink", "split_pictures"]

ARCHIVE = "olivetti_0_19.npz"
DOWNLOAD_TIMEOUT_S = 10
DIGITS_AN_IDENTITY = 40


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Grey pictures with an identity each.

    ``images`` float32 (n, side, side), 0 black .. 1 white; ``identity`` int64 (n,), 0 .. identities - 1; ``source``
    says in words what they are; ``kind`` is ``"faces"`` or ``"digits"``; ``passed_over`` a line a source that was not
    there.
    """

    images: np.ndarray
    identity: np.ndarray
    source: str
    kind: str
    passed_over: tuple = ()


@dataclasses.dataclass(frozen=True)
class Split:
    """Indices into `Pictures`: ``train`` and ``test`` share none."""

    train: np.ndarray
    test: np.ndarray


def load_pictures(identities=6, folder=None, download=None, first=0):
    """The `Pictures` of ``identities`` people, from person ``first`` on, from the first source that has them.

    Parameters: ``folder`` overrides the folder searched; ``download`` replaces scikit-learn's downloader (a function of
    no arguments that gives ``(images, identity)`` or raises OSError). Raises a refusal for an archive that is there but
    broken: a user's own file is never passed over in silence.
    """
    folder = pathlib.Path(folder or os.environ.get("RMDLORA_DATA") or default_folder())
    passed_over = []
    path = folder / ARCHIVE
    if path.is_file():
        images, identity = read_archive(path)
        return choose(images, identity - first, identities, "Olivetti faces (Olivetti Research Laboratory), "
                      f"{path.name} of RMDLORA_DATA", "faces", passed_over)
    passed_over.append(f"no {ARCHIVE} in {folder}")
    try:
        images, identity = (download or download_faces)()
    except OSError as problem:
        passed_over.append(f"scikit-learn's download of the Olivetti faces failed: {' '.join(str(problem).split())}")
    else:
        return choose(images, identity - first, identities, "Olivetti faces (Olivetti Research Laboratory) through "
                      "scikit-learn", "faces", passed_over)
    images, identity = read_digits()
    return choose(images, identity - first, identities, "handwritten digits of scikit-learn, standing in for faces",
                  "digits", passed_over)


def default_folder():
    """The folder searched where ``RMDLORA_DATA`` is not set."""
    return pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"


def read_archive(path):
    """``(images, identity)`` of an archive with ``images`` uint8 (n, side, side) and ``target`` (n,)."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            images, identity = archive["images"], archive["target"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise RefusedValue(f"{path} must be a numpy archive with images and target: {problem}") from None
    if images.ndim != 3 or images.dtype != np.uint8 or identity.shape != images.shape[:1]:
        raise RefusedValue(f"{path} must hold images uint8 (n, side, side) and target (n,), not "
                           f"{images.dtype} {images.shape} and {identity.shape}")
    return images.astype(np.float32) / 255, identity.astype(np.int64)


def download_faces():
    """``(images, identity)`` through scikit-learn; OSError where the network does not answer in time."""
    from sklearn.datasets import fetch_olivetti_faces  # slow to import, and not always needed

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)
    try:
        with warnings.catch_warnings():     # scikit-learn insists on a second try, and warns of it: one is enough here
            warnings.filterwarnings("error", message="Retry downloading")
            faces = fetch_olivetti_faces(n_retries=1, delay=0.1)
    except UserWarning as retry:
        raise OSError(str(retry.__context__)) from None
    finally:
        socket.setdefaulttimeout(patience)
    return faces.images.astype(np.float32), faces.target.astype(np.int64)


def read_digits():
    """``(images, identity)`` of scikit-learn's digits, blown up from 8 x 8 to 64 x 64."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.concatenate([np.flatnonzero(digits.target == digit)[:DIGITS_AN_IDENTITY] for digit in range(10)])
    images = np.repeat(np.repeat(digits.images[order] / 16, 8, axis=1), 8, axis=2)
    return images.astype(np.float32), digits.target[order].astype(np.int64)


def choose(images, identity, identities, source, kind, passed_over):
    """The `Pictures` of identities 0 .. ``identities`` - 1; refused where one has fewer than two pictures."""
    counts = np.bincount(identity[(identity >= 0) & (identity < identities)], minlength=identities)
    if counts.min() < 2:
        raise RefusedValue(f"identities must each have at least 2 pictures in {source}, not {counts.tolist()}")
    keep = (identity >= 0) & (identity < identities)
    return Pictures(images[keep], identity[keep], source, kind, tuple(passed_over))


def split_pictures(pictures, share=0.7, seed=0):
    """A `Split` with ``share`` of every identity's pictures in ``train``, drawn by ``seed``; the rest in ``test``.

    It comes before any augmentation, so no test picture has a relative in training.
    """
    draw = np.random.default_rng(seed)
    train, test = [], []
    for identity in np.unique(pictures.identity):
        order = draw.permutation(np.flatnonzero(pictures.identity == identity))
        cut = min(len(order) - 1, max(1, round(share * len(order))))
        train.append(order[:cut])
        test.append(order[cut:])
    return Split(np.sort(np.concatenate(train)), np.sort(np.concatenate(test)))


def fold_pictures(pictures, folds, seed=0):
    """``folds`` of `Split`, in which every picture is in ``test`` once.

    A person's pictures, in an order drawn by ``seed``, are cut into that many parts, as even as can be; like
    `split_pictures`, this comes before any augmentation. Refused where a person has fewer pictures than folds.
    """
    draw = np.random.default_rng(seed)
    parts = []                                                                          # (people, folds) of indices
    for identity in np.unique(pictures.identity):
        own = np.flatnonzero(pictures.identity == identity)
        if len(own) < folds:
            raise RefusedValue(f"identities must each have at least {folds} pictures for {folds} folds, not {len(own)}")
        parts.append(np.array_split(draw.permutation(own), folds))
    tests = [np.sort(np.concatenate(each)) for each in zip(*parts, strict=True)]
    return [Split(np.setdiff1d(np.arange(len(pictures.identity)), test), test) for test in tests]


def augment(images, copies, generator, degrees=30.0, zoom=(0.8, 1.2), shift=0.1, flip=True):
    """``copies`` variants of each picture at once: turned, zoomed, moved, mirrored.

    ``images`` float32 tensor (n, side, side) -> (n * copies, side, side); copy ``c`` of picture ``i`` at
    ``i * copies + c``. Ranges: ``degrees`` either way, ``zoom`` low and high, ``shift`` of the half side either way;
    ``generator`` a torch.Generator. What comes from beyond the edge repeats the edge.
    """
    n = len(images) * copies

    def uniform(low, high):
        return low + (high - low) * torch.rand(n, generator=generator)

    angle = uniform(-degrees, degrees) * (math.pi / 180)
    scale = 1 / uniform(*zoom)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0) if flip else torch.ones(n)
    theta = torch.stack([
        torch.stack([scale * angle.cos() * mirror, -scale * angle.sin(), uniform(-shift, shift)], dim=1),
        torch.stack([scale * angle.sin() * mirror, scale * angle.cos(), uniform(-shift, shift)], dim=1)], dim=1)
    side = images.shape[-1]
    grid = torch.nn.functional.affine_grid(theta, (n, 1, side, side), align_corners=False)
    source = images.repeat_interleave(copies, dim=0)[:, None]
    return torch.nn.functional.grid_sample(source, grid, mode="bilinear", padding_mode="border",
                                           align_corners=False)[:, 0]


def shrink(images, side=16):
    """Pictures (n, a, a) as the network sees them: averaged down to (n, side, side), -1 black .. +1 white."""
    return 2 * torch.nn.functional.adaptive_avg_pool2d(images[:, None], side)[:, 0] - 1
