"""Layers larger than the buffer: cut into turns by the specification, run by the chip, equal to the uncut oracle."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from rmdlora.cosim.compare import compare
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.rtl import native_lane, run_rtl
from rmdlora.cosim.run import run_golden
from rmdlora.gen.adapters import Adapters
from rmdlora.gen.driver import Driver, OperationFault, Shifts
from rmdlora.gen.operations import Layer
from rmdlora.gen.pages import PagedLayer
from rmdlora.golden import lora, stimulus
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.pages import Region, cut_layer, plan_backward, plan_forward, plan_update
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.spec.registers import SLOTS, Fault, Kind
from rmdlora.golden.vectors import check_vectors

TINY = load_configuration("tiny")


def with_buffer(base, words, **sram):
    """A configuration with a buffer of so many row words."""
    return dataclasses.replace(base, name=f"{base.name}_{words}",
                               sram=dataclasses.replace(base.sram, words=words, **sram))


PAGED = with_buffer(TINY, 24)
BUILDS = {"dual": PAGED, "single": with_buffer(TINY, 12, ports="single", secded=True, scrub_clocks=7)}
SHIFTS = Shifts(p=9, u=10, w=20, q=9, dx=10, va=5, vb=6, lra=6, lrb=5, momentum=2)


@pytest.fixture(scope="module")
def lane():
    """The paged chip alone, in the native lane."""
    return NativeLane(PAGED)


def codes(seed, bits, *shape):
    """Random codes of a width."""
    return np.random.default_rng(seed).integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)


def files(configuration, count, seed):
    """``count`` random vector files whose layers are larger than the buffer, and some that are not, as `Vectors`."""
    fits = 0
    for index in itertools.count():
        vectors = check_vectors(stimulus.random_arrays(np.random.default_rng((seed, index)), configuration, vectors=20),
                                configuration)
        _, k, d, r = vectors.sizes
        larger = configuration.pipeline.words(k, d, r) > configuration.sram.words
        fits += not larger
        if larger or fits <= 3:
            yield vectors
            count -= 1
        if not count:
            return


@pytest.mark.parametrize("sizes", [(64, 64, 8), (1, 64, 3), (64, 1, 8), (37, 53, 5), (40, 3, 2)], ids=str)
@pytest.mark.parametrize("page_words", [4, 6, 30])
def test_turns_work_on_every_stretch_in_order_with_its_codes_inside(sizes, page_words):
    lanes, rank = TINY.lora, sizes[2]
    a, b = cut_layer(lanes, *sizes, page_words)
    for stretches, positions in ((a, sizes[0]), (b, sizes[1])):
        covered = [place for stretch in stretches for place in range(stretch.start, stretch.stop)]
        assert covered == list(range(positions))
        assert all(stretch.words == lanes.groups(len(stretch)) * lanes.rank_groups(rank) <= page_words
                   for stretch in stretches)
    plans = {Kind.FORWARD: (plan_forward(lanes, 2 * lanes.chunk + 1, *sizes, page_words), 3 * (a + b)),
             Kind.BACKWARD: (plan_backward(lanes, 5, *sizes, page_words), b + a),
             Kind.UPDATE: (plan_update(lanes, *sizes, page_words), a + b)}
    for kind, (turns, work) in plans.items():
        assert [turn.stretch for turn in turns if turn.stretch] == work
        pages, left = [None, None], []
        for turn in turns:
            if turn.stretch:
                assert pages[turn.page] == turn.stretch and turn.kind == kind
                assert turn.opens == (turn.stretch in (a[0], b[0])) and turn.closes == (turn.stretch in (a[-1], b[-1]))
            if exchange := turn.exchange:
                if exchange.leaves:
                    assert pages[1 - turn.page] == exchange.leaves and exchange.leaves_states
                    assert exchange.leaves_weights == (kind == Kind.UPDATE)
                    left.append(exchange.leaves)
                if exchange.enters:
                    assert exchange.enters_weights and exchange.enters_states == (kind != Kind.FORWARD)
                pages[1 - turn.page] = exchange.enters
        assert left == ([] if kind == Kind.FORWARD else work)


@pytest.mark.parametrize("build", BUILDS)
def test_random_layers_larger_than_the_buffer_agree_in_every_number_and_every_cycle(build):
    configuration = BUILDS[build]
    lane = native_lane(configuration)
    trained = 0
    for index, vectors in enumerate(files(configuration, 40, 5)):
        differences = compare(run_golden(vectors, configuration), run_rtl(vectors, configuration, lane))
        assert not differences, f"file {index} of {vectors.sizes}: {differences[0]}"
        trained += vectors.trains
    assert 15 < trained < 40


def test_a_layer_larger_than_the_buffer_is_used_as_any_other_whatever_stalls(lane):
    lane.reset()
    driver, k, d, r, n = Driver(lane, PAGED), 21, 30, 5, 7
    a, b, va, vb = codes(1, 16, r, k), codes(2, 16, d, r), codes(3, 30, r, k), codes(4, 30, d, r)
    layer = driver.load_adapter(a, b)
    assert isinstance(layer, PagedLayer)
    driver.load_states(layer, va, vb)
    driver.set_calibration(codes(5, 16, d), codes(6, 24, d), 3)
    layer = dataclasses.replace(layer, calibration=3, active=0b11011, trainable=0b01010)
    x, c, g = codes(7, 8, n, k), codes(8, 20, n, d), codes(9, 16, n, d)
    masks = [torch.tensor([bool(mask >> j & 1) for j in range(r)]) for mask in (0b11011, 0b01010)]
    expected = lora.Layer(*(torch.from_numpy(array) for array in (a, b, codes(5, 16, d), codes(6, 24, d))), *masks,
                          torch.from_numpy(va), torch.from_numpy(vb), lora.Shifts(**dataclasses.asdict(SHIFTS)))
    tensors = [torch.from_numpy(array) for array in (x, c, g)]
    for probability in (0, 0.4):
        lane.stall(probability, 3)
        driver.clear_counters()
        y, p = lora.forward(expected, *tensors[:2])
        dx, _, va, vb = lora.backward(expected, tensors[0], p, tensors[2])
        assert np.array_equal(driver.forward(layer, x, c, SHIFTS), y)
        assert driver.clocks("y").shape == y.shape
        assert np.array_equal(driver.backward(layer, x, g, SHIFTS), dx)
        stores = driver.moved["store"].lasts
        assert stores[-1] and 1 < stores.sum() < len(stores)
        driver.update(layer, SHIFTS, nearest=True)
        a, b, va, vb, _ = lora.update(dataclasses.replace(expected, va=va, vb=vb))
        expected = dataclasses.replace(expected, a=a, b=b, va=va, vb=vb)
        for found, right in zip((*driver.read_adapter(layer), *driver.read_states(layer)), (a, b, va, vb), strict=True):
            assert np.array_equal(found, right)
        counts = tuple(driver.counters()[kind] for kind in ("forward", "backward", "update"))
        wanted = PAGED.pipeline.run(n, k, d, r, batch=n)
        assert counts == wanted if not probability else all(
            count > least for count, least in zip(counts, wanted, strict=True))
    lane.stall(0, 3)


def test_loads_hide_behind_the_work_of_many_vectors():
    # the first stretch of 12 row words enters alone, 2 + 1 clocks a row word: all else is hidden
    pipeline, whole = PAGED.pipeline, TINY.pipeline
    turns = plan_forward(PAGED.lora, 8, 24, 40, 4, 12)
    hidden = [pipeline.exchange(turn.exchange) <= pipeline.stretch(turn, 4) for turn in turns[1:] if turn.exchange]
    assert len(turns) == 1 + 2 + 4 and len(hidden) == 5 and all(hidden)
    assert pipeline.turn(turns[0], 4) == 1 + 12 * 3
    assert pipeline.run(8, 24, 40, 4)[0] < 1.5 * whole.run(8, 24, 40, 4)[0]


def test_the_host_reads_and_writes_both_pages_and_the_calibration_beside_them(lane):
    lane.reset()
    driver = Driver(lane, PAGED)
    elements = np.arange(PAGED.sram.words * PAGED.lora.row_elements)
    for name, bits in (("weights", 16), ("states", 32)):
        driver.write_window(name, elements, codes(bits, bits, len(elements)))
    driver.set_calibration(codes(3, 16, 128), codes(4, 32, 128))
    for name, bits in (("weights", 16), ("states", 32)):
        assert np.array_equal(driver.read_window(name, elements), codes(bits, bits, len(elements)))
    assert all(np.array_equal(*pair) for pair in zip(
        driver.read_calibration(128), (codes(3, 16, 128), codes(4, 32, 128)), strict=True))


def test_adapters_that_fit_lie_across_the_pages_and_are_copied_and_erased_there(lane):
    lane.reset()
    adapters = Adapters(Driver(lane, PAGED), first=4)
    for slot in range(SLOTS):
        adapters.write_slot(slot, 0, 0, valid=0)
    given = codes(1, 16, 3, 5), codes(2, 16, 4, 3), codes(3, 30, 3, 5), codes(4, 30, 4, 3)     # 10 row words
    adapters.add("one", *given)
    adapters.snapshot("one")
    for found, expected in zip((*adapters.read("one"), *adapters.read_states("one")), given, strict=True):
        assert np.array_equal(found, expected)
    assert adapters.adapters["one"].other == 14
    adapters.erase("one")
    assert not adapters.driver.read_window("weights", np.arange(16, 96)).any()
    with pytest.raises(RefusedValue, match="100 row words for an adapter must be free in the buffer of 24"):
        adapters.add("large", codes(1, 16, 8, 20), codes(2, 16, 30, 8))


@pytest.mark.parametrize("broken", [
    {"region": Region.WHOLE}, {"enters_words": 13}, {"leaves_words": 13, "leaves_states": 1}, {"enters_weights": 0},
    {"vectors": 9}, {"crossbar": 1}, {"slots": 1}, {"kind": Kind.CHECKSUM}, {"region": Region.NONE, "enters_words": 0},
    {"adapter": 6}, {"inputs": 65}])
def test_a_turn_that_breaks_a_rule_never_starts(lane, broken):
    lane.reset()
    driver = Driver(lane, PAGED)
    driver.write_window("weights", np.arange(96), np.arange(96))
    Adapters(driver).write_slot(0, 0, 3)
    legal = {**Layer(10, 9, 3).fields, **dataclasses.asdict(SHIFTS), "kind": Kind.FORWARD, "vectors": 1, "crossbar": 0,
             "nearest": 0, "region": Region.A, "opens": 1, "closes": 1, "enters_words": 12, "enters_weights": 1}
    driver.start({**legal, **broken}, 1000)
    with pytest.raises(OperationFault) as caught:
        driver.wait_for_end(1000)
    assert caught.value.code == {"adapter": Fault.SPACE, "inputs": Fault.SIZE, "crossbar": Fault.BOARD}.get(
        next(iter(broken)), Fault.PAGE)
    assert lane.running_clocks == 0
    assert np.array_equal(driver.read_window("weights", np.arange(96)), np.arange(96))


def test_a_larger_layer_is_refused_where_it_cannot_run_in_turns(lane):
    lane.reset()
    driver = Driver(lane, PAGED)
    layer = driver.load_adapter(codes(1, 16, 8, 20), codes(2, 16, 30, 8))
    with pytest.raises(RefusedValue, match="whose c comes from the crossbar must fit the 24 row words of the buffer"):
        driver.forward(layer, codes(3, 8, 2, 20), crossbar=True)
    x, g = codes(3, 8, 9, 20), codes(4, 16, 9, 30)
    driver.forward(layer, x)
    with pytest.raises(OperationFault, match="chunk"):
        driver.backward(layer, x, g)


@pytest.mark.soak
@pytest.mark.parametrize("rank", [4, 8])
@pytest.mark.parametrize("sizes", [(768, 3072), (3072, 768)], ids=str)
def test_the_image_tasks_layers_train_in_a_buffer_of_128_row_words(sizes, rank):
    (k, d), configuration = sizes, with_buffer(load_configuration("image"), 128)
    assert configuration.pipeline.words(k, d, rank) == 60 * rank
    arrays = {"x": codes(1, 8, 16, k), "a": codes(2, 16, rank, k), "b": codes(3, 16, d, rank), "g": codes(4, 16, 16, d),
              "c": codes(5, 32, 16, d), "gain": codes(6, 16, d), "batch": np.array(16), "seed": np.array(7),
              **{f"{name}_shift": np.array(shift) for name, shift in {
                  "p": 16, "u": 16, "w": 30, "q": 21, "dx": 16, "va": 4, "vb": 8, "lra": 6, "lrb": 6}.items()}}
    vectors = check_vectors(arrays, configuration)
    assert not compare(run_golden(vectors, configuration), run_rtl(vectors, configuration, native_lane(configuration)))
