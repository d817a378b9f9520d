"""Random vector files that leave no corner out: shapes, extreme codes, every shift, masks, both roundings, momentum.

Plain random numbers would round everything away or saturate everything; so most shifts are drawn around the size of
what they shift, some from their whole range, and some at its ends.
"""

import numpy as np

from .spec.formats import LEARNING_SHIFT_LIMIT, MOMENTUM_SHIFT_LIMIT, SHIFT_LIMIT

__all__ = ["random_arrays"]

SHAPES = ("any", "any", "any", "small", "wide", "tall", "single")
KINDS = ("uniform", "uniform", "normal", "normal", "normal", "small", "ends", "low", "high")
SEEDS = (0, 1, (1 << 32) - 1, 0x61C88647)       # the last makes lane 0's first state 0, so 1
LIMITS = {"lra": LEARNING_SHIFT_LIMIT, "lrb": LEARNING_SHIFT_LIMIT, "momentum": MOMENTUM_SHIFT_LIMIT}


def random_arrays(random, configuration, inputs=600, outputs=600, rank=16, vectors=12, updates=None):
    """``{key: array}`` of one legal vector file for ``configuration``.

    Parameters: ``random``, a numpy Generator; largest ``inputs`` (k), ``outputs`` (d), ``rank`` (r) and ``vectors``
    (n); the configuration's own limits cap them. ``updates``: train, with as many updates, of 1 to 3 vectors each.
    """
    geometry, formats = configuration.geometry, configuration.formats
    k, d, r, n = draw_shape(random, min(inputs, geometry.max_inputs),
                            min(outputs, geometry.max_outputs, configuration.crossbar.calibrated_outputs),
                            min(rank, geometry.max_rank), vectors)
    if updates:
        batch = int(random.integers(1, 4))
        n = updates * batch - int(random.integers(batch))
    arrays = {"x": draw_codes(random, (n, k), formats.activation), "a": draw_codes(random, (r, k), formats.adapter),
              "b": draw_codes(random, (d, r), formats.adapter)}
    if random.random() < 0.7:
        arrays["gain"] = draw_codes(random, (d,), formats.gain)
        for key, shape in (("c", (n, d)), ("offset", (d,))):
            if random.random() < 0.8:
                arrays[key] = draw_codes(random, shape, formats.sum)
    if random.random() < 0.5:
        arrays["active"] = random.random(r) < random.choice((0.3, 0.7, 0.95))
    if random.random() < 0.5:
        arrays["trainable"] = arrays.get("active", np.ones(r, dtype=bool)) & (random.random(r) < 0.7)
    if updates or random.random() < 0.7:
        arrays["g"] = draw_codes(random, (n, d), formats.gradient)
        arrays["batch"] = np.array(batch if updates else random.choice((1, 2, 3, n, n + 1, max(1, n // 2), 1 << 40)))
        seed = random.choice(SEEDS) if random.random() < 0.3 else random.integers(1 << 32)
        arrays["seed"] = np.array(seed, dtype=np.uint32)
        arrays["rounding"] = np.array(random.choice(("stochastic", "stochastic", "nearest")))
    for name, about in likely_shifts(arrays, formats).items():
        if name != "momentum" or random.random() < 0.6:
            arrays[f"{name}_shift"] = np.array(draw_shift(random, about, LIMITS.get(name, SHIFT_LIMIT)))
    return arrays


def likely_shifts(arrays, formats):
    """``{shift: bits}`` that would bring each sum of these arrays down to about the width of its code."""
    n, k = arrays["x"].shape
    d, r = arrays["b"].shape
    size = {key: spread(arrays.get(key)) for key in ("x", "a", "b", "c", "gain", "g")}
    inner, outer = formats.intermediate - 2, formats.output - 2     # bits that a well scaled code makes use of
    about = {"p": size["x"] + size["a"] + np.log2(k) / 2 - inner, "u": size["b"] + inner + np.log2(r) / 2 - outer,
             "w": size["c"] + size["gain"] - outer}
    if "g" in arrays:
        several = np.log2(min(int(arrays["batch"]), n)) + 2 - formats.state
        about |= {"q": size["b"] + size["g"] + np.log2(d) / 2 - inner, "dx": size["a"] + inner + np.log2(r) / 2 - outer,
                  "va": inner + size["x"] + several, "vb": inner + size["g"] + several,
                  "lra": formats.state - formats.adapter, "lrb": formats.state - formats.adapter, "momentum": 2}
    return about


def draw_shape(random, inputs, outputs, rank, vectors):
    """``(k, d, r, n)`` within the given limits: among them 1s, r > d, d > k and k > d."""
    kind = random.choice(SHAPES)
    largest_k = {"small": 5, "tall": 4, "single": 1}.get(kind, inputs)
    largest_d = {"small": 5, "wide": 4, "single": 1}.get(kind, outputs)
    return (int(random.integers(1, min(largest_k, inputs) + 1)), int(random.integers(1, min(largest_d, outputs) + 1)),
            int(random.integers(1, rank + 1)), int(random.integers(1, vectors + 1)))


def draw_codes(random, shape, bits):
    """int64 codes of ``shape``: uniform, normal, small, of the ends, or one end alone."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    kind = random.choice(KINDS)
    if kind == "uniform":
        return random.integers(low, high, size=shape, endpoint=True)
    if kind == "normal":
        return np.clip(np.rint(random.normal(scale=high / 4, size=shape)), low, high).astype(np.int64)
    if kind == "small":
        return random.integers(-3, 4, size=shape)
    if kind == "ends":
        return random.choice((low, high, 0, -1, 1), size=shape)
    return np.full(shape, low if kind == "low" else high, dtype=np.int64)


def draw_shift(random, about, limit):
    """A shift of 0..``limit``: mostly near ``about``, sometimes any, sometimes an end."""
    kind = random.random()
    if kind < 0.7:
        return int(np.clip(round(about) + random.integers(-3, 4), 0, limit))
    return int(random.integers(0, limit + 1)) if kind < 0.9 else int(random.choice((0, 1, limit)))


def spread(array):
    """Bits of a typical magnitude in ``array``; 0 for none."""
    return 0.0 if array is None else float(np.log2(np.abs(array.astype(float)).mean() + 1))
