"""Vector files (contract, section 7): what a user hands the flow, checked before anything runs, and what comes back.

Every rule has its refusal, one line with what, the rule and the value. A result file is written whole or not at all.
"""

import dataclasses
import os
import pathlib
import warnings
import zipfile
import zlib

import numpy as np

from .spec.formats import LEARNING_SHIFT_LIMIT, MOMENTUM_SHIFT_LIMIT, SHIFT_LIMIT
from .spec.refusal import RefusedType, RefusedValue

__all__ = ["Vectors", "check_vectors", "load_vectors", "need_writable", "save_arrays"]

SCALARS = {f"{name}_shift": (0, limit, 0) for limit, names in (
    (SHIFT_LIMIT, ("p", "u", "w", "q", "dx", "va", "vb")), (LEARNING_SHIFT_LIMIT, ("lra", "lrb")),
    (MOMENTUM_SHIFT_LIMIT, ("momentum",))) for name in names} | {"batch": (1, None, 1), "seed": (0, (1 << 32) - 1, 0)}
MATRICES = ("x", "a", "b", "c", "gain", "offset", "g")
MASKS = ("active", "trainable")
REQUIRED = ("x", "a", "b")
ROUNDINGS = ("stochastic", "nearest")
FORMATS = {"x": "activation", "a": "adapter", "b": "adapter", "c": "sum", "gain": "gain", "offset": "sum",
           "g": "gradient"}
SHAPES = {"x": "nk", "a": "rk", "b": "dr", "c": "nd", "gain": "d", "offset": "d", "g": "nd", "active": "r",
          "trainable": "r"}
LARGEST = {"k": "max_inputs", "d": "max_outputs", "r": "max_rank"}
UNREADABLE = (OSError, ValueError, EOFError, KeyError, RuntimeError, NotImplementedError, MemoryError, OverflowError,
              SyntaxError, TypeError, UnicodeError, Warning, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Vectors:
    """The content of a vector file. Arrays are int64 (masks bool) and numpy's; what the file left out has its default.

    ``x (n, k)``, ``a (r, k)``, ``b (d, r)``, ``c (n, d)`` or None, ``gain (d,)``, ``offset (d,)``, ``g (n, d)`` or None
    (inference), ``active (r,)``, ``trainable (r,)``; shifts, ``batch``, ``seed``, ``rounding`` are plain Python values.
    """

    x: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray | None
    gain: np.ndarray
    offset: np.ndarray
    active: np.ndarray
    trainable: np.ndarray
    g: np.ndarray | None
    p_shift: int
    u_shift: int
    w_shift: int
    q_shift: int
    dx_shift: int
    va_shift: int
    vb_shift: int
    lra_shift: int
    lrb_shift: int
    momentum_shift: int
    batch: int
    seed: int
    rounding: str

    @property
    def trains(self):
        """Whether gradients ask for training."""
        return self.g is not None

    @property
    def sizes(self):
        """``(n, k, d, r)``"""
        return (*self.x.shape, *self.b.shape)


def load_vectors(path, configuration):
    """The `Vectors` of an ``.npz`` file, every rule checked against ``configuration``. Raises a refusal."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise RefusedValue(f"{path} must be a vector file (.npz), but there is no such file")
    with warnings.catch_warnings():
        warnings.simplefilter("error")      # numpy warns of headers that it has to guess at: not a file to be trusted
        try:
            if not zipfile.is_zipfile(path):
                raise RefusedValue(f"{path} must be a numpy archive (.npz), and is none")
            with np.load(path, allow_pickle=False) as archive:
                arrays = read_arrays(path, archive)
        except (RefusedValue, RefusedType):
            raise
        except UNREADABLE as problem:
            reason = " ".join(str(problem).split()) or type(problem).__name__
            raise RefusedValue(f"{path} must be a readable numpy archive without pickles: {reason}") from None
    return check_vectors(arrays, configuration)


def read_arrays(path, archive):
    """``{key: array}`` of an open archive; the keys are looked at before any array is read."""
    check_keys(archive.files)
    if len(set(archive.files)) != len(archive.files) or len(archive.zip.namelist()) != len(set(archive.zip.namelist())):
        raise RefusedValue(f"{path} must hold every array once, not twice")
    arrays = {}
    for key in archive.files:
        arrays[key] = archive[key]
        if not isinstance(arrays[key], np.ndarray):
            raise RefusedType(f"{key} must be a numpy array, not other data in {path}")
    return arrays


def check_keys(keys):
    """Refuse a key that no rule knows, or the lack of one that must be there."""
    known = (*MATRICES, *MASKS, *SCALARS, "rounding")
    for key in keys:
        if key not in known:
            raise RefusedValue(f"{key!r} is not a key of a vector file: use some of {', '.join(known)}")
    for key in REQUIRED:
        if key not in keys:
            raise RefusedValue(f"{key} must be in a vector file, and is missing")


def check_vectors(arrays, configuration):
    """The `Vectors` of ``{key: numpy array}``, every rule checked against ``configuration``. Raises a refusal.

    Training keys are checked whether or not there are gradients.
    """
    check_keys(arrays)
    sizes = check_shapes(arrays)
    check_sizes(sizes, configuration)
    found = {key: check_codes(key, arrays[key], configuration.formats) for key in MATRICES if key in arrays}
    for key in ("c", "offset"):
        if key in arrays and "gain" not in arrays:
            raise RefusedValue(f"{key} must come with gain, but gain is missing")
    for key in ("gain", "offset"):
        found.setdefault(key, np.zeros(sizes["d"], dtype=np.int64))
    found["active"] = arrays.get("active", np.ones(sizes["r"], dtype=bool))
    found["trainable"] = arrays.get("trainable", found["active"])
    stray = np.flatnonzero(found["trainable"] & ~found["active"])
    if len(stray):
        raise RefusedValue(f"trainable must be inside active, but lane {stray[0]} is trainable and not active")
    scalars = {key: check_scalar(key, arrays[key], low, high) if key in arrays else default
               for key, (low, high, default) in SCALARS.items()}
    return Vectors(**{key: found.get(key) for key in (*MATRICES, *MASKS)}, **scalars,
                   rounding=check_rounding(arrays["rounding"]) if "rounding" in arrays else ROUNDINGS[0])


def check_shapes(arrays):
    """``{"n": .., "k": .., "d": .., "r": ..}``; refuses a wrong kind or shape of any matrix or mask."""
    sizes = {}
    for key, letters in SHAPES.items():
        if key not in arrays:
            continue
        array = arrays[key]
        if key in MASKS and array.dtype.kind != "b":
            raise RefusedType(f"{key} must be an array of bool, not {array.dtype}")
        if key in MATRICES and array.dtype.kind not in "iu":
            raise RefusedType(f"{key} must be an array of integers, not {array.dtype}")
        words = "(" + ", ".join(letters) + (",)" if len(letters) == 1 else ")")
        if array.ndim != len(letters):
            raise RefusedValue(f"{key} must be of shape {words}, not {array.shape}")
        for letter, length in zip(letters, array.shape, strict=True):
            if length < 1:
                raise RefusedValue(f"{key} must be of shape {words} with {letter} at least 1, not {array.shape}")
            if sizes.setdefault(letter, length) != length:
                raise RefusedValue(f"{key} must be of shape {words} with {letter} = {sizes[letter]}, not {array.shape}")
    return sizes


def check_sizes(sizes, configuration):
    """Refuse a layer larger than the configuration serves."""
    for letter, key in LARGEST.items():
        limit = getattr(configuration.geometry, key)
        if sizes[letter] > limit:
            raise RefusedValue(f"{letter} must be at most {limit} (geometry.{key} of configuration "
                               f"{configuration.name}), not {sizes[letter]}")
    limit = configuration.calibration_words * configuration.lora.rows
    if sizes["d"] > limit:
        raise RefusedValue(f"d must be at most {limit} (crossbar.calibrated_outputs of configuration "
                           f"{configuration.name}), not {sizes['d']}")


def check_codes(key, array, formats):
    """``array`` as int64; refuses a code outside its format, in words that say where."""
    bits = getattr(formats, FORMATS[key])
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    for position, extreme in ((array.argmin(), "low"), (array.argmax(), "high")):
        value = int(array.flat[position])
        if value < low if extreme == "low" else value > high:
            index = ", ".join(str(int(place)) for place in np.unravel_index(position, array.shape))
            raise RefusedValue(f"{key} must be {bits}-bit codes ({low}..{high}), not {value} at [{index}]")
    return np.ascontiguousarray(array, dtype=np.int64)


def check_scalar(key, array, low, high):
    """``array`` as a Python integer of ``low..high`` (no upper end where None)."""
    rule = f"an integer of {low}..{high}" if high is not None else f"an integer of at least {low}"
    if array.dtype.kind not in "iu":
        raise RefusedType(f"{key} must be {rule}, not {array.dtype}")
    if array.ndim:
        raise RefusedValue(f"{key} must be {rule} and 0-d, not of shape {array.shape}")
    value = int(array)
    if value < low or (high is not None and value > high):
        raise RefusedValue(f"{key} must be {rule}, not {value}")
    return value


def check_rounding(array):
    """``array`` as one of the words for the update's rounding."""
    rule = " or ".join(ROUNDINGS)
    if array.dtype.kind != "U" or array.ndim:
        raise RefusedType(f"rounding must be {rule} as a 0-d string, not {array.dtype} of shape {array.shape}")
    if str(array) not in ROUNDINGS:
        raise RefusedValue(f"rounding must be {rule}, not {str(array)!r}")
    return str(array)


def need_writable(path):
    """The `Path` of a result file that can be written; refused before anything runs where it cannot."""
    path = pathlib.Path(path)
    folder = path.resolve().parent
    if not folder.is_dir():
        raise RefusedValue(f"--out must be in a folder that exists, and {folder} does not")
    if not os.access(folder, os.W_OK):
        raise RefusedValue(f"--out must be in a folder that can be written, and {folder} cannot")
    if path.exists() and not path.is_file():
        raise RefusedValue(f"--out must be a file, and {path} is something else")
    return path


def save_arrays(path, arrays):
    """Write ``{key: array}`` as an ``.npz`` file at ``path``: beside it first, then renamed, so whole or not at all."""
    path = need_writable(path).resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(unfinished, "xb") as file:
            np.savez(file, **arrays)
        os.replace(unfinished, path)
    except OSError as problem:
        raise RefusedValue(f"--out must be a file that can be written: {problem}") from None
    finally:
        unfinished.unlink(missing_ok=True)
