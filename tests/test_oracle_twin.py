"""The oracle stays within the float twin's derived bound, and the bound is not idle."""

import dataclasses

import numpy as np
import pytest
import torch
from rmdlora.golden import lora, stimulus, twin
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import Formats
from rmdlora.golden.vectors import check_vectors

DEFAULT = load_configuration("default")
WIDE = dataclasses.replace(DEFAULT, name="wide", formats=Formats(16, 18, 18, 18, 24, 36, 40))


def layer_of(vectors, configuration):
    """The `lora.Layer` of a vector file, and its operands as tensors."""
    shifts = lora.Shifts(*(getattr(vectors, f"{field.name}_shift") for field in dataclasses.fields(lora.Shifts)))
    layer = lora.Layer(*(torch.from_numpy(getattr(vectors, key)) for key in ("a", "b", "gain", "offset", "active")),
                       shifts=shifts, formats=configuration.formats)
    return layer, *(None if value is None else torch.from_numpy(value) for value in (vectors.x, vectors.c, vectors.g))


@pytest.mark.parametrize("configuration", [DEFAULT, WIDE], ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(60))
def test_the_oracle_stays_within_the_bound_of_the_float_twin(configuration, seed):
    arrays = stimulus.random_arrays(np.random.default_rng(seed), configuration, 200, 200, 16, 8)
    layer, x, c, g = layer_of(check_vectors(arrays, configuration), configuration)
    pairs = list(zip(lora.forward(layer, x, c), twin.forward(layer, x, c), strict=True))
    if g is not None:
        p = pairs[1][0]
        pairs += list(zip(lora.backward(layer, x, p, g)[:2], twin.backward(layer, g), strict=True))
    for code, real in pairs:
        assert bool(((code.double() - real.value).abs() <= real.bound).all())


def test_the_bound_is_met_closely_somewhere():
    torch.manual_seed(1)
    layer = lora.Layer(torch.randint(-2000, 2000, (8, 100)), torch.randint(-2000, 2000, (60, 8)),
                       shifts=lora.Shifts(p=9, u=12))
    x = torch.randint(-128, 128, (400, 100))
    (y, p), (real_y, real_p) = lora.forward(layer, x), twin.forward(layer, x)
    for code, real, share in ((y, real_y, 0.3), (p, real_p, 0.99)):
        assert float(((code.double() - real.value).abs() / real.bound).max()) > share
