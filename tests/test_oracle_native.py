"""The oracle's forward in C++ against its way through tensors: the same numbers, the same refusals."""

import dataclasses
import shutil

import pytest
import torch
from rmdlora.golden import lora, native
from rmdlora.golden.spec.formats import Formats
from rmdlora.golden.spec.refusal import Refusal

FORMATS = (Formats(), Formats(4, 8, 8, 8, 8, 16, 24), Formats(16, 18, 18, 18, 24, 36, 37))
pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")


@pytest.fixture
def always(monkeypatch):
    """However small a forward is, the kernel is asked for; calls are noted."""
    calls = []

    def noted(*arguments):
        calls.append(native.run_forward(*arguments))
        return calls[-1]

    monkeypatch.setattr(lora, "NATIVE", 0)
    monkeypatch.setattr(lora, "run_forward", noted)
    return calls


def draw(generator, bits, *shape, kind=torch.int64):
    """Random codes, the corners among them."""
    codes = torch.randint(-1 << (bits - 1), 1 << (bits - 1), shape, generator=generator).flatten()
    codes[0], codes[-1] = -1 << (bits - 1), (1 << (bits - 1)) - 1
    return codes.reshape(shape).to(kind)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_the_kernel_gives_what_the_tensors_give(always, monkeypatch, seed, threads):
    generator = torch.Generator().manual_seed(seed)
    formats = FORMATS[seed % 3]
    n, k, d, r = (int(torch.randint(1, most, (), generator=generator)) for most in (9, 40, 40, 20))
    shifts = lora.Shifts(p=seed, u=(0, 9, 47)[seed % 3], w=2 * seed)
    layer = lora.Layer(draw(generator, formats.adapter, r, k), draw(generator, formats.adapter, d, r),
                       gain=draw(generator, 16, d), offset=draw(generator, formats.sum, d),
                       active=torch.rand(r, generator=generator) < 0.8, shifts=shifts, formats=formats)
    x = draw(generator, formats.activation, n, k, kind=(torch.int64, torch.int32, torch.int16)[seed % 3])
    c = draw(generator, formats.sum, n, d) if seed % 4 else None
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    found = lora.forward(layer, x, c)
    assert always[-1] is not None
    monkeypatch.setattr(lora, "find_kernel", lambda: None)
    for wanted in (lora.forward(layer, x, c), lora.forward(dataclasses.replace(layer, float_bits=0), x, c)):
        for one, other in zip(found, wanted, strict=True):
            assert one.dtype is torch.int64 and torch.equal(one, other)
    assert len(always) == 1


def test_codes_outside_their_formats_are_refused_as_without_the_kernel(always):
    layer = lora.Layer(torch.ones(2, 3, dtype=torch.int64), torch.ones(4, 2, dtype=torch.int64))
    good, zeros = torch.zeros(5, 3, dtype=torch.int64), torch.zeros(5, 4, dtype=torch.int64)
    for name, value in (("x", 128), ("x", -129), ("x", 1 << 60), ("c", 1 << 31), ("c", -(1 << 31) - 1),
                        ("c", -1 << 62)):
        x, c = good.clone(), zeros.clone()
        {"x": x, "c": c}[name][4, 2] = value
        with pytest.raises(Refusal, match=f"{name} must be .*-bit codes .*, not {value}"):
            lora.forward(layer, x, c)
        assert always[-1] is None
    with pytest.raises(Refusal, match="c must be a tensor of integers"):
        lora.forward(layer, good, zeros.to(torch.float32))


def test_sums_past_53_bits_and_machines_without_a_compiler_do_without_the_kernel(always, monkeypatch):
    wide = lora.Layer(torch.ones(2, 3, dtype=torch.int64), torch.ones(4, 2, dtype=torch.int64), formats=Formats(sum=40))
    lora.forward(wide, torch.zeros(5, 3, dtype=torch.int64))
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    native.find_kernel.cache_clear()
    lora.forward(dataclasses.replace(wide, formats=Formats()), torch.zeros(5, 3, dtype=torch.int64))
    native.find_kernel.cache_clear()
    assert always == []


def test_what_does_not_compile_is_no_kernel(monkeypatch, tmp_path):
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path))
    monkeypatch.setattr(native, "COMMAND", ("g++", "--no-such-option"))
    native.find_kernel.cache_clear()
    assert native.find_kernel() is None
    native.find_kernel.cache_clear()
