"""Training adapters straight through the integers: the hardware's own update, and an optimiser."""

import dataclasses

import numpy as np
import pytest
import torch
from rmdlora.golden import lora
from rmdlora.golden.calibration import observe
from rmdlora.golden.face import ADAPTED, Mixer
from rmdlora.golden.hybrid import HybridNetwork, OracleLayers, map_network
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import Shifts
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.training import HardwareTraining, OptimiserTraining, OracleUnit, Rates, grow, run_through
from rmdlora.golden.vectors import check_vectors

FACE = load_configuration("face")


def read(conductances, x, outputs, tile):
    return read_layer(conductances, x, outputs, FACE)


BACKEND = OracleLayers(FACE, read)


@pytest.fixture(scope="module")
def programmed():
    """``(network, images, identity, what its layers see)`` of an untrained mixer."""
    draw = torch.Generator().manual_seed(4)
    images, identity = 2 * torch.rand(24, 16, 16, generator=draw) - 1, torch.randint(6, (24,), generator=draw)
    mixer = Mixer(seed=2)
    seen = {name: part.x for name, part in observe(mixer, images).items() if name in ADAPTED}
    return map_network(mixer, images, FACE, read), images, identity, seen


def loss_of(identity):
    return lambda output: torch.nn.functional.cross_entropy(output, identity)


def test_a_grown_network_computes_what_it_did_and_its_adapters_lie_apart(programmed):
    network, images, _, seen = programmed
    one = grow(network, "first", 6, seen, seed=1)
    two = grow(one, "second", 8, seen, seed=1)
    before, _ = network.run(images, BACKEND)
    for grown, slots in ((one, ("first",)), (two, ("first", "second"))):
        after, _ = grown.run(images, BACKEND, slots)
        assert torch.equal(before, after)
    words = []
    for name, layer in two.layers.items():
        if name in ADAPTED:
            assert layer.slots == {"first": slice(0, 6), "second": slice(6, 14)} and layer.a.shape[0] == 14
            assert np.abs(layer.a).max() < 1 << 15 and not layer.b.any()
        layout = FACE.lora.layout(layer.inputs, layer.outputs, layer.rank, layer.adapter)
        words += range(layout.base, layout.base + layout.words)
    assert len(set(words)) == len(words) <= FACE.sram.words


def test_a_network_too_large_for_the_buffer_is_refused(programmed):
    network, _, _, seen = programmed
    small = dataclasses.replace(FACE, sram=dataclasses.replace(FACE.sram, words=1100))
    network = HybridNetwork(network.glue, network.layers, small)
    with pytest.raises(RefusedValue, match=r"sram\.words must be at least \d+ for this network, not 1100"):
        for index in range(8):
            network = grow(network, f"slot{index}", 8, seen)


@pytest.mark.parametrize("rounding", ["stochastic", "nearest"])
def test_a_step_of_the_unit_is_a_training_run_of_the_contract(rounding):
    random = np.random.default_rng(7)
    arrays = {"x": random.integers(-100, 100, (10, 9)), "a": random.integers(-9000, 9000, (5, 9)),
              "b": random.integers(-9000, 9000, (7, 5)), "g": random.integers(-9000, 9000, (10, 7)),
              "active": np.array([1, 1, 1, 1, 0], bool), "trainable": np.array([0, 1, 1, 0, 0], bool),
              "p_shift": 8, "q_shift": 14, "dx_shift": 14, "va_shift": 2, "vb_shift": 9, "lra_shift": 9,
              "lrb_shift": 8, "momentum_shift": 2, "batch": 5, "seed": 11, "rounding": rounding}
    wanted = lora.run(check_vectors({key: np.asarray(value) for key, value in arrays.items()}, FACE), FACE)
    unit = OracleUnit(FACE, 11 if rounding == "stochastic" else None)
    shifts = Shifts(p=8, q=14, dx=14, va=2, vb=9, lra=9, lrb=8, momentum=2)

    @dataclasses.dataclass
    class Layer:
        a: np.ndarray
        b: np.ndarray
        name: str = "only"
        rank: int = 5

    layer, shares = Layer(arrays["a"], arrays["b"]), []
    for part in (slice(0, 5), slice(5, 10)):
        dx, layer.a, layer.b = unit.step(layer, arrays["x"][part], arrays["g"][part], shifts, arrays["active"],
                                         arrays["trainable"])
        shares.append(dx)
    assert np.array_equal(np.concatenate(shares), wanted["dx"])
    assert np.array_equal(layer.a, wanted["a"]) and np.array_equal(layer.b, wanted["b"])
    va, vb = unit.states["only"]
    assert np.array_equal(va.numpy(), wanted["va"]) and np.array_equal(vb.numpy(), wanted["vb"])


def float_gradients(network, images, identity, slots):
    """Gradients of the float twin's adapters, {name: (a, b)}, real."""
    parts = {}

    def call(name, x):
        layer = network.layers[name]
        weights, bias = layer.as_read(FACE)
        y = x @ torch.from_numpy(weights.T) + torch.from_numpy(bias)
        if layer.active(slots).any():
            a, b = (torch.tensor(part, requires_grad=True)
                    for part in (layer.a * layer.a_worth[:, None], layer.b * layer.b_worth))
            parts[name] = a, b
            y = y + (x @ a.T) @ b.T
        return y

    loss_of(identity)(network.glue(images.double(), call)).backward()
    return {name: (a.grad.numpy(), b.grad.numpy()) for name, (a, b) in parts.items()}


def alike(one, other):
    """Cosine between two arrays."""
    return float((one * other).sum() / (np.linalg.norm(one) * np.linalg.norm(other)))


@pytest.mark.parametrize("floor, shrunk", [(1.0, 1.0), (1 / 4, 1 / 4), (1 / 64, 1 / 16)])
def test_smaller_gradients_fill_their_codes_again_only_down_to_the_floor(programmed, floor, shrunk):
    rates = Rates(0.002, 0.002, floor=floor)
    training = HardwareTraining(programmed[0], BACKEND, OracleUnit(FACE, None), ("only",), ("only",), rates)
    first = training.scale("out", np.array([[-4.0, 1.0]]))
    assert training.scale("out", np.array([[0.25, 0.0]])) == first * shrunk


def test_a_kept_code_of_a_gradient_is_worth_what_the_first_mini_batch_made_it(programmed):
    rates = Rates(0.002, 0.002, kept=True)
    training = HardwareTraining(programmed[0], BACKEND, OracleUnit(FACE, None), ("only",), ("only",), rates)
    first = training.scale("out", np.array([[-4.0, 1.0]]))
    assert [training.scale("out", np.array([[size, 0.0]])) for size in (0.25, 64.0, 0.0)] == [first] * 3
    assert training.scale("embed", np.array([[2.0, 0.0]])) == first / 2


def test_updates_shrink_with_their_gradients_where_codes_keep_their_worth(programmed):
    network, images, identity, seen = programmed
    moved = {}
    for kept in (True, False):
        grown = grow(network, "only", 6, seen, seed=3)
        training = HardwareTraining(grown, BACKEND, OracleUnit(FACE, None), ("only",), ("only",),
                                    Rates(0.002, 0.002, kept=kept))
        training.step(images, loss_of(identity))
        before = grown.layers["out"].b
        training.step(images, lambda output: loss_of(identity)(output) / 32)
        moved[kept] = np.abs(grown.layers["out"].b - before).mean()
    assert 0 < moved[True] < moved[False] / 16


def test_the_hardwares_update_follows_the_gradient_of_the_float_twin(programmed):
    network, images, identity, seen = programmed
    network = grow(network, "only", 6, seen, seed=3)
    training = HardwareTraining(network, BACKEND, OracleUnit(FACE, None), ("only",), ("only",), Rates(0.002, 0.002))
    training.step(images, loss_of(identity))        # b leaves 0, so that a has a gradient
    before = {name: (layer.a, layer.b) for name, layer in network.layers.items()}
    wanted = float_gradients(network, images, identity, ("only",))
    training.step(images, loss_of(identity))
    for name in ADAPTED:
        layer = network.layers[name]
        moved = (before[name][0] - layer.a) * layer.a_worth[:, None], (before[name][1] - layer.b) * layer.b_worth
        assert alike(moved[1], wanted[name][1]) > 0.97, name
        assert alike(moved[0], wanted[name][0]) > 0.9, name
        rate = np.sqrt((moved[1] ** 2).mean())
        assert 0.0005 < rate < 0.008, (name, rate)


@pytest.mark.parametrize("kind", ["hardware", "optimiser"])
def test_training_lowers_the_loss_and_moves_nothing_but_the_trained_lanes(programmed, kind):
    network, images, identity, seen = programmed
    network = grow(grow(network, "still", 2, seen, seed=3), "moving", 6, seen, seed=4)
    before = dict(network.layers)
    slots = ("still", "moving")
    if kind == "hardware":
        training = HardwareTraining(network, BACKEND, OracleUnit(FACE, 5), slots, ("moving",),
                                    Rates(0.002, 0.002, 3, halve=(6,)))
    else:
        training = OptimiserTraining(network, BACKEND, slots, ("moving",), lambda parts: torch.optim.Adam(parts, 0.01))
    losses = [training.step(images, loss_of(identity))[0] for _ in range(12)]
    assert losses[-1] < losses[0] - 0.05
    for name, layer in network.layers.items():
        assert np.array_equal(layer.conductances, before[name].conductances)
        if name in ADAPTED:
            still = layer.slots["still"]
            assert np.array_equal(layer.a[still], before[name].a[still])
            assert np.array_equal(layer.b[:, still], before[name].b[:, still])
            assert not np.array_equal(layer.b[:, layer.slots["moving"]], before[name].b[:, layer.slots["moving"]])


def test_the_float_twin_is_the_integer_network_but_for_rounding(programmed):
    network, images, identity, seen = programmed
    network = grow(network, "only", 6, seen, seed=3)
    training = HardwareTraining(network, BACKEND, OracleUnit(FACE, 5), ("only",), ("only",), Rates(0.002, 0.002, 3))
    for _ in range(6):
        training.step(images, loss_of(identity))
    given, _ = network.run(images, BACKEND, ("only",))
    twin, plain = network.run_float(images, ("only",)), network.run_float(images)
    assert (given - twin).abs().max() < 0.1 * (twin - plain).abs().max()
    through = run_through(network, images, BACKEND, ("only",), None)
    assert torch.equal(through.detach(), given)
