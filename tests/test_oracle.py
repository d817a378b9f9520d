"""The oracle against the contract read out loud (`contract_reference`), on both carriers, and its own promises."""

import dataclasses

import numpy as np
import pytest
import torch
from contract_reference import run as literal_run
from contract_reference import xorshift32
from rmdlora.golden import arithmetic, generator, lora, stimulus
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import Formats
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.vectors import check_vectors

DEFAULT = load_configuration("default")
NARROW = dataclasses.replace(DEFAULT, name="narrow", formats=Formats(4, 8, 8, 8, 8, 16, 24))
WIDE = dataclasses.replace(DEFAULT, name="wide", formats=Formats(16, 18, 18, 18, 24, 36, 40))


def assert_same(out, reference):
    """Every array of ``reference`` that the oracle gives is equal, element by element."""
    for key, wanted in reference.items():
        if key != "generators":
            assert out[key].dtype == np.int64 and out[key].tolist() == wanted, key


@pytest.mark.parametrize("configuration", [DEFAULT, NARROW, WIDE], ids=lambda c: c.name)
@pytest.mark.parametrize("seed", range(40))
def test_the_oracle_gives_the_contracts_numbers(configuration, seed):
    arrays = stimulus.random_arrays(np.random.default_rng(seed), configuration, 9, 9, 16, 6)
    vectors = check_vectors(arrays, configuration)
    wanted = literal_run(vectors, configuration.formats)
    assert_same(lora.run(vectors, configuration), wanted)
    assert_same(lora.run(vectors, configuration, float_bits=0), wanted)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("configuration", [DEFAULT, WIDE], ids=lambda c: c.name)
def test_the_largest_sums_are_exact(configuration, sign):
    formats, n, k, d, r = configuration.formats, 2, 300, 200, 16

    def ends(shape, bits, which=-1):
        return np.full(shape, -(1 << (bits - 1)) if which < 0 else (1 << (bits - 1)) - 1, dtype=np.int64)

    arrays = {"x": ends((n, k), formats.activation, sign), "a": ends((r, k), formats.adapter),
              "b": ends((d, r), formats.adapter), "c": ends((n, d), formats.sum), "offset": ends((d,), formats.sum, 1),
              "gain": ends((d,), formats.gain), "g": ends((n, d), formats.gradient, sign), "batch": np.array(2),
              **{f"{name}_shift": np.array(shift) for name, shift in
                 {"p": 20, "u": 17, "w": 41, "q": 25, "dx": 30, "va": 0, "vb": 0, "lra": 31, "lrb": 31}.items()}}
    vectors = check_vectors(arrays, configuration)
    wanted = literal_run(vectors, formats)
    assert_same(lora.run(vectors, configuration), wanted)
    assert_same(lora.run(vectors, configuration, float_bits=0), wanted)


def test_sums_past_53_bits_leave_float64():
    assert arithmetic.carrier(1 << 53) is torch.float64
    assert arithmetic.carrier((1 << 53) + 1) is torch.int64
    assert arithmetic.carrier(1, float_bits=0) is torch.int64
    odd = torch.tensor([[(1 << 30) + 1]])
    assert arithmetic.matmul(odd, odd, 1 << 61).item() == ((1 << 30) + 1) ** 2
    assert arithmetic.split_matmul(odd, odd).item() == ((1 << 30) + 1) ** 2
    left, right = torch.randint(-(1 << 40), 1 << 40, (3, 5)), torch.randint(-(1 << 17), 1 << 17, (5, 4))
    assert torch.equal(arithmetic.split_matmul(left, right), left @ right)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 600, 16), (9, 300, 16), (70, 30, 20)])
@pytest.mark.parametrize("shift", [0, 1, 13])
def test_products_are_exact_on_every_path(sizes, shift):
    torch.manual_seed(sum(sizes))
    n, m, k = sizes
    left, right = torch.randint(-(1 << 17), 1 << 17, (n, m)), torch.randint(-(1 << 17), 1 << 17, (m, k))
    wanted = arithmetic.round_shift(left @ right, shift)
    for float_bits in (53, 0):
        got = arithmetic.matmul(left, right, m << 34, shift, float_bits)
        assert got.dtype is (torch.float64 if float_bits else torch.int64)
        assert torch.equal(got.to(torch.int64), wanted)


@pytest.mark.parametrize("kind", [torch.int64, torch.float64])
def test_tensors_round_as_the_specification_does(kind):
    values = torch.cat([torch.arange(-300, 301), torch.tensor([(1 << 52) - 1, 1 - (1 << 52), 3 << 45, -(3 << 45)])])
    for shift in range(48):
        got = arithmetic.round_shift(values.to(kind), shift).to(torch.int64)
        quotients = [divmod(value, 1 << shift) for value in values.tolist()]
        twice = [2 * rest - (1 << shift) for _, rest in quotients]
        assert got.tolist() == [whole + (over > 0 or (over == 0 and shift > 0 and whole & 1 == 1))
                                for (whole, _), over in zip(quotients, twice, strict=True)]


def test_many_steps_of_the_generators_are_as_many_single_ones():
    states = generator.seed_generators(0x61C88647, 5)
    assert states[0] == 1 and states[1] == (0x61C88647 + 2 * 0x9E3779B9) % 2**32
    for count in (1, 2, 3, 64, 131):
        drawn = generator.draw(states, count)
        for lane, state in enumerate(states.tolist()):
            for step in range(count):
                state = xorshift32(state)
                assert drawn[lane, step] == state


def test_generators_run_on_and_only_those_of_trainable_lanes():
    layer = lora.Layer(torch.zeros(3, 4, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64),
                       trainable=torch.tensor([True, False, True]))
    before = generator.seed_generators(7, 3)
    after = lora.update(layer, before)[-1]
    assert torch.equal(after[[0, 2]], generator.draw(before, 6)[[0, 2], -1]) and after[1] == before[1]
    assert torch.equal(before, generator.seed_generators(7, 3))
    assert lora.update(layer)[-1] is None


def test_saturation_in_order_and_sums_at_once_agree(monkeypatch):
    torch.manual_seed(3)
    formats = Formats(state=16)
    layer = lora.Layer(torch.randint(-9, 9, (4, 30)), torch.randint(-9, 9, (20, 4)), formats=formats)
    x, g, p = (torch.randint(-high, high, shape) for high, shape in ((100, (50, 30)), (150, (50, 20)), (80, (50, 4))))
    wanted = lora.backward(layer, x, p, g)
    assert int(wanted[3].abs().max()) >= (1 << 15) - 1, "some sums must saturate, or this shows nothing"
    for slice_size in (1, 7 * 80, 1 << 30):
        monkeypatch.setattr(lora, "SLICE", slice_size)
        for got, want in zip(lora.backward(layer, x, p, g), wanted, strict=True):
            assert torch.equal(got, want)


def test_a_run_of_a_thousand_updates_replays_from_its_seed():
    random = np.random.default_rng(5)
    n, k, d, r = 1000, 40, 24, 4
    arrays = {"x": random.integers(-128, 128, (n, k)), "a": random.integers(-999, 999, (r, k)),
              "b": random.integers(-999, 999, (d, r)), "g": random.integers(-999, 999, (n, d)), "p_shift": np.array(6),
              "q_shift": np.array(8), "lra_shift": np.array(14), "lrb_shift": np.array(14),
              "momentum_shift": np.array(3), "seed": np.array(99)}
    vectors = check_vectors(arrays, DEFAULT)
    first, second = (lora.run(vectors, DEFAULT) for _ in range(2))
    assert all(np.array_equal(first[key], second[key]) for key in first)
    other = lora.run(dataclasses.replace(vectors, seed=100), DEFAULT)
    assert not np.array_equal(first["a"], other["a"])


def test_inference_gives_no_training_arrays_and_counts_one_forward():
    vectors = check_vectors({"x": np.ones((5, 3), np.int8), "a": np.ones((2, 3), np.int16),
                             "b": np.ones((4, 2), np.uint8)}, DEFAULT)
    out = lora.run(vectors, DEFAULT)
    assert set(out) == {"y", "p", "cycles_forward", "cycles_backward", "cycles_update", "multipliers"}
    assert out["y"].tolist() == [[6] * 4] * 5
    assert (out["cycles_forward"], out["cycles_backward"]) == (DEFAULT.pipeline.forward(5, 3, 4, 2), 0)
    assert out["multipliers"] == DEFAULT.lora.multipliers and out["multipliers"].shape == ()


def test_narrow_integer_tensors_do_not_wrap():
    x = torch.full((1, 2), -128, dtype=torch.int8)
    layer = lora.Layer(torch.full((1, 2), -128, dtype=torch.int8), torch.ones(1, 1, dtype=torch.int8))
    y, p = lora.forward(layer, x)
    assert p.item() == y.item() == 2 * 128 * 128 - 1
    assert lora.backward(layer, x, p, torch.ones(1, 1, dtype=torch.int8))[2].tolist() == [[-128, -128]]


@pytest.mark.parametrize(("change", "words"), [
    ({"a": torch.zeros(2, 3)}, "a must be a tensor of integers, not torch.float32"),
    ({"a": torch.full((2, 3), 40000)}, r"a must be 16-bit codes \(-32768..32767\), not 40000"),
    ({"b": torch.zeros(4, 3, dtype=torch.int64)}, r"b must be of shape \(any, 2\), not \(4, 3\)"),
    ({"active": torch.tensor([True, False]), "trainable": torch.tensor([True, True])}, "trainable must be a subset"),
    ({"active": torch.tensor([1, 0])}, r"active must be a mask of \(2,\) bool, not \(2,\) torch.int64"),
])
def test_a_layer_refuses_by_name(change, words):
    whole = {"a": torch.zeros(2, 3, dtype=torch.int64), "b": torch.zeros(4, 2, dtype=torch.int64)}
    with pytest.raises(Refusal, match=words):
        lora.Layer(**whole | change)


@pytest.mark.parametrize(("shift", "limit"), [("p", 47), ("lra", 31), ("lrb", 31), ("momentum", 15)])
def test_shifts_have_their_limits(shift, limit):
    lora.Shifts(**{shift: limit})
    with pytest.raises(Refusal, match=f"{shift}_shift must be an integer of 0..{limit}, not {limit + 1}"):
        lora.Shifts(**{shift: limit + 1})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("seed", range(10))
def test_a_cuda_device_gives_the_same_numbers(seed):
    vectors = check_vectors(stimulus.random_arrays(np.random.default_rng(seed), WIDE, 90, 90, 16, 9), WIDE)
    wanted = lora.run(vectors, WIDE)
    for float_bits in (53, 0):
        out = lora.run(vectors, WIDE, device="cuda", float_bits=float_bits)
        assert all(np.array_equal(out[key], wanted[key]) for key in wanted)
