"""The chip as the host sees it: its ports, its bus, operations that may not start, and what a reset leaves."""

import dataclasses

import numpy as np
import pytest
import torch
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.transport import LaneFailure
from rmdlora.gen.beats import beat_type, pack_beats, unpack_beats
from rmdlora.gen.driver import Driver, Layer, OperationFault, Shifts
from rmdlora.gen.verilog import interface
from rmdlora.golden import lora
from rmdlora.golden.generator import seed_generators
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.registers import OPERATION_QUEUE, Fault, Kind, register, window
from rmdlora.hdl.pins import BoardPins
from rmdlora.hdl.top import Chip

TINY = load_configuration("tiny")
ADAPTER = Layer(inputs=9, outputs=7, rank=5, adapter=4, calibration=2, active=0b11011, trainable=0b01010)
SHIFTS = Shifts(p=9, u=10, w=20, q=9, dx=10, va=5, vb=6, lra=6, lrb=5, momentum=2)


@pytest.fixture(scope="module")
def lane():
    """The chip alone, in the native lane."""
    return NativeLane(TINY)


@pytest.fixture
def driver(lane):
    """A driver of the chip, just reset."""
    lane.reset()
    return Driver(lane, TINY)


def codes(seed, bits, *shape):
    """Random codes of a width, the corners among them."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    values.flat[0], values.flat[-1] = low, high
    return values


def load(driver, layer, seed=1):
    """Load a layer with random everything; what was loaded, as `lora.Layer`."""
    k, d, r = layer.inputs, layer.outputs, layer.rank
    a, b = codes(seed, 16, r, k), codes(seed + 1, 16, d, r)
    va, vb = codes(seed + 2, 30, r, k), codes(seed + 3, 30, d, r)
    gain, offset = codes(seed + 4, 16, d), codes(seed + 5, 24, d)
    driver.load_adapter(a, b, layer.adapter)
    driver.load_states(layer, va, vb)
    driver.set_calibration(gain, offset, layer.calibration)
    active, trainable = ([bool(mask >> lane & 1) for lane in range(r)] for mask in layer.masks)
    tensors = (torch.from_numpy(array) for array in (a, b, gain, offset))
    return lora.Layer(*tensors, torch.tensor(active), torch.tensor(trainable), torch.from_numpy(va),
                      torch.from_numpy(vb), lora.Shifts(**dataclasses.asdict(SHIFTS)), TINY.formats)


def test_the_ports_are_the_boards_and_the_buses_by_name():
    chip = interface(TINY)
    names = {port["name"] for port in chip["ports"]}
    buses = {"s_axil", "s_axis_x", "s_axis_c", "s_axis_g", "m_axis_y", "m_axis_dx"}
    assert {name.split("__")[0] for name in names if "__" in name} == buses
    assert {name for name in names if "__" not in name} == {"clk", "rst", "irq", "running", *BoardPins(TINY).members}
    assert sum(port["bits"] for port in chip["ports"] if port["name"] in BoardPins(TINY).members) == 48
    stream = {"tdata", "tvalid", "tready", "tlast"}
    assert {name for name in names if name.startswith("m_axis_y")} == {f"m_axis_y__{signal}" for signal in stream}


def test_the_top_level_only_connects():
    source = Chip.elaborate.__code__
    assert not {"If", "Elif", "Switch", "FSM", "Case"} & set(source.co_names)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("nearest", [False, True])
def test_operations_give_what_the_oracle_says_and_count_their_cycles(driver, lane, seed, nearest):
    expected = load(driver, ADAPTER, seed)
    n, k, d, r = 5, ADAPTER.inputs, ADAPTER.outputs, ADAPTER.rank
    x, c, g = codes(seed, 8, n, k), codes(seed, 20, n, d), codes(seed, 16, n, d)
    driver.seed(seed, r)
    driver.clear_counters()
    before = lane.running_clocks
    y = driver.forward(ADAPTER, x, c, SHIFTS)
    assert driver.moved["y"].lasts.tolist() == [False] * (len(driver.moved["y"].lasts) - 1) + [True]
    dx = driver.backward(ADAPTER, x, g, SHIFTS)
    assert driver.moved["dx"].lasts.tolist() == [False] * (len(driver.moved["dx"].lasts) - 1) + [True]
    driver.update(ADAPTER, SHIFTS, nearest)

    tensors = [torch.from_numpy(array) for array in (x, c, g)]
    expected_y, p = lora.forward(expected, *tensors[:2])
    expected_dx, _, va, vb = lora.backward(expected, tensors[0], p, tensors[2])
    expected = dataclasses.replace(expected, va=va, vb=vb)
    generators = None if nearest else seed_generators(seed, r, "cpu")
    a, b, va, vb, generators = lora.update(expected, generators)
    assert np.array_equal(y, expected_y)
    assert np.array_equal(dx, expected_dx)
    for found, right in zip((*driver.read_adapter(ADAPTER), *driver.read_states(ADAPTER)), (a, b, va, vb), strict=True):
        assert np.array_equal(found, right)
    if not nearest:
        assert driver.read_generators(r).tolist() == generators.tolist()
    counts = driver.counters()
    pipeline = TINY.pipeline
    assert counts["forward"] == pipeline.forward(n, k, d, r)
    assert counts["backward"] == pipeline.backward(n, k, d, r)
    assert counts["update"] == pipeline.update(k, d, r)
    assert counts["completed"] == 3
    assert lane.running_clocks - before == sum(counts[kind] for kind in ("forward", "backward", "update"))


def test_an_illegal_operation_never_starts_and_says_why(driver, lane):
    load(driver, ADAPTER)
    rules = {
        Fault.SIZE: {"inputs": TINY.geometry.max_inputs + 1}, Fault.SPACE: {"adapter": TINY.sram.words - 3},
        Fault.MASK: {"trainable": 0b100}, Fault.SHIFT: {"va": 48}, Fault.CHUNK: {"vectors": 1}, Fault.KIND: {"kind": 3}}
    legal = {**dataclasses.asdict(ADAPTER), **dataclasses.asdict(SHIFTS), "kind": Kind.BACKWARD, "vectors": 1,
             "crossbar": 0, "nearest": 0}
    before = lane.running_clocks
    for count, (code, broken) in enumerate(rules.items(), 1):
        driver.start({**legal, **broken}, 1000)
        with pytest.raises(OperationFault) as caught:
            driver.wait_for_end(1000)
        assert caught.value.code == code
        assert driver.counters()["completed"] == count
    driver.start({**legal, "kind": Kind.FORWARD, "crossbar": 1}, 1000)      # no board here: its start-up fails
    with pytest.raises(OperationFault, match="board"):
        driver.wait_for_end(1000)
    assert lane.running_clocks == before
    assert driver.counters()["forward"] == 0
    load(driver, ADAPTER)
    driver.forward(ADAPTER, codes(1, 8, 2, ADAPTER.inputs))     # and it still works


def test_the_first_fault_stays_and_the_interrupt_with_it(driver, lane):
    fault, interrupt = register("FAULT"), register("INTERRUPT")
    layer = dataclasses.asdict(ADAPTER)
    for broken in ({"inputs": 0}, {"kind": 3}):
        driver.start({**layer, **dataclasses.asdict(SHIFTS), "kind": Kind.UPDATE, "vectors": 1, "crossbar": 0,
                      "nearest": 0, **broken}, 1000)
    lane.advance(200)
    assert lane.read(fault.address) == Fault.SIZE
    assert interrupt.unpack(lane.read(interrupt.address)) == {"done": 1, "fault": 1}
    lane.run_until_high("irq", 1)
    lane.write(register("INTERRUPT_ENABLE").address, 0)
    with pytest.raises(LaneFailure):
        lane.run_until_high("irq", 50)
    lane.write(fault.address, 0xFFFFFFFF)
    lane.write(interrupt.address, 0xFFFFFFFF)
    assert (lane.read(fault.address), lane.read(interrupt.address)) == (0, 0)


def stuck_operation(driver, layer):
    """A forward that waits for operands that nobody sends."""
    return {**dataclasses.asdict(layer), **dataclasses.asdict(SHIFTS), "kind": Kind.FORWARD, "vectors": 2,
            "crossbar": 0, "nearest": 0}


def test_a_full_queue_answers_with_an_error_and_a_soft_reset_empties_it(driver, lane):
    expected = load(driver, ADAPTER)
    driver.seed(5, ADAPTER.rank)
    status, start = register("STATUS"), register("OP_START").address
    driver.start(stuck_operation(driver, ADAPTER), 1000)
    lane.advance(200)                   # it runs, the next one is checked, the rest fill the queue
    for _ in range(OPERATION_QUEUE + 1):
        lane.write(start, 1)
        lane.advance(100)
    with pytest.raises(LaneFailure, match="SLVERR"):
        lane.write(start, 1)
    waiting = status.unpack(lane.read(status.address))
    assert (waiting["busy"], waiting["queued"]) == (1, OPERATION_QUEUE + 1)
    assert lane.read(register("COMPLETED").address) == 0

    driver.soft_reset()
    lane.advance(10)
    idle = status.unpack(lane.read(status.address))
    assert (idle["busy"], idle["queued"]) == (0, 0)
    assert lane.read(register("OP_INPUTS").address) == ADAPTER.inputs
    assert driver.read_generators(ADAPTER.rank).tolist() == seed_generators(5, ADAPTER.rank, "cpu").tolist()
    a, b = driver.read_adapter(ADAPTER)
    assert np.array_equal(a, expected.a) and np.array_equal(b, expected.b)
    x, c = codes(3, 8, 4, ADAPTER.inputs), codes(4, 20, 4, ADAPTER.outputs)
    assert np.array_equal(driver.forward(ADAPTER, x, c, SHIFTS),
                          lora.forward(expected, torch.from_numpy(x), torch.from_numpy(c))[0])


def describe(driver, kind):
    """An operation of a block on `ADAPTER`."""
    return stuck_operation(driver, ADAPTER) | {"kind": kind, "vectors": TINY.lora.vectors}


def set_timeout(lane, clocks):
    lane.write(register("TIMEOUT").address, clocks)


@pytest.mark.parametrize("stuck", ["x", "c", "y", "g", "dx"])
def test_a_stuck_stream_ends_the_operation_and_those_behind_it_and_the_next_one_works(driver, lane, stuck):
    layer, n = load(driver, ADAPTER), TINY.lora.vectors
    operands = {"x": codes(3, 8, n, ADAPTER.inputs), "c": codes(4, 20, n, ADAPTER.outputs),
                "g": codes(5, 16, n, ADAPTER.outputs)}
    y = driver.forward(ADAPTER, operands["x"], operands["c"], SHIFTS)
    kind = Kind.BACKWARD if stuck in ("g", "dx") else Kind.FORWARD
    before = driver.read_states(ADAPTER), driver.read_adapter(ADAPTER)
    set_timeout(lane, 500)
    wanted = ("x", "g") if kind == Kind.BACKWARD else ("x", "c")
    for stream in wanted:
        if stream != stuck:
            lane.send(stream, pack_beats(operands[stream], TINY.lora, beat_type(TINY, stream)))
    ended = lane.read(register("COMPLETED").address)
    driver.start(describe(driver, kind), 1000)
    lane.write(register("OP_START").address, 1)         # and one behind it
    lane.advance(2000)
    status = register("STATUS")
    shown = status.unpack(lane.read(status.address))
    assert lane.read(register("FAULT").address) == Fault.STREAM
    assert (shown["busy"], shown["halted"]) == (0, 1)
    assert lane.read(register("COMPLETED").address) == ended + 2
    expected = lora.backward(layer, *(torch.from_numpy(operands["x"]), lora.forward(
        layer, torch.from_numpy(operands["x"]), torch.from_numpy(operands["c"]))[1], torch.from_numpy(operands["g"])))
    # both vectors go in one step: every state has taken it or not, and where no step was possible, not
    for now, old, new in zip(driver.read_states(ADAPTER), before[0], expected[2:], strict=True):
        assert ((now == old) | ((now == new.numpy()) & (stuck == "dx"))).all()
    for found, was in zip(driver.read_adapter(ADAPTER), before[1], strict=True):
        assert np.array_equal(found, was)
    lane.withdraw()
    driver.start_counting()             # clears FAULT, and with it the halt
    assert not status.unpack(lane.read(status.address))["halted"]
    driver.start(describe(driver, Kind.BACKWARD), 1000)
    with pytest.raises(OperationFault, match="chunk"):      # no forward before it
        driver.wait_for_end(1000)
    assert np.array_equal(driver.forward(ADAPTER, operands["x"], operands["c"], SHIFTS), y)


def test_a_fault_is_raised_when_it_comes_and_the_driver_lets_go_of_what_is_left(driver, lane):
    expected = load(driver, ADAPTER)
    x, c = codes(3, 8, 4, ADAPTER.inputs), codes(4, 20, 4, ADAPTER.outputs)
    driver.set_timeout(500)
    run = driver.run(ADAPTER, SHIFTS)
    run.forward(x, c)
    run.operands["c"].clear()       # nobody sends it
    before = lane.cycles
    with pytest.raises(OperationFault, match="stream"):
        run.finish()
    assert lane.cycles - before < 2000
    driver.soft_reset()
    assert np.array_equal(driver.forward(ADAPTER, x, c, SHIFTS),
                          lora.forward(expected, torch.from_numpy(x), torch.from_numpy(c))[0])
    driver.set_timeout()
    assert lane.read(register("TIMEOUT").address) == TINY.clock.timeout_clocks


RESET_AT = (0, 7, 23, 45, 60, 90, 200)      # clocks after an operation was queued: checked, begun, in the middle, ended


@pytest.mark.parametrize("hard", [False, True], ids=["soft", "hard"])
@pytest.mark.parametrize("kind", [Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE, Kind.COPY, Kind.ERASE, Kind.CHECKSUM,
                                  Kind.PROGRAM, 3])
def test_a_reset_at_any_time_of_an_operation_leaves_a_chip_at_rest_that_works(driver, lane, kind, hard):
    n = TINY.lora.vectors * 2
    operands = {"x": codes(3, 8, n, ADAPTER.inputs), "c": codes(4, 20, n, ADAPTER.outputs),
                "g": codes(5, 16, n, ADAPTER.outputs)}
    streams = {Kind.FORWARD: ("x", "c", "y"), Kind.BACKWARD: ("x", "g", "dx")}.get(kind, ())
    for clocks in RESET_AT:
        for stalled in (None, *streams):
            expected = load(driver, ADAPTER)
            y = driver.forward(ADAPTER, operands["x"], operands["c"], SHIFTS)
            for stream in set(streams) - {stalled}:
                if stream in operands:
                    lane.send(stream, pack_beats(operands[stream], TINY.lora, beat_type(TINY, stream)))
                else:
                    lane.expect(stream, 1000)
            fields = {"kind": kind, "vectors": n, "target": 200, "adapter": ADAPTER.adapter}
            if kind in Kind.WALKS:
                fields |= {"adapter": 100, "active": 0, "trainable": 0}
            driver.start(describe(driver, kind) | fields, 1000)
            lane.advance(clocks)
            if hard:
                lane.withdraw()
                lane.reset()
                driver = Driver(lane, TINY)
            else:
                driver.soft_reset()
            lane.advance(5)
            shown = register("STATUS").unpack(lane.read(register("STATUS").address))
            where = f"kind {kind}, {clocks} clocks, {stalled} stalled"
            assert (shown["busy"], shown["queued"], shown["halted"], lane.model.io["irq"] & 1) == (0, 0, 0, 0), where
            if kind not in (Kind.BACKWARD, Kind.UPDATE):
                assert all(np.array_equal(*pair) for pair in zip(driver.read_adapter(ADAPTER), (expected.a, expected.b),
                                                                 strict=True)), where
            load(driver, ADAPTER)
            assert np.array_equal(driver.forward(ADAPTER, operands["x"], operands["c"], SHIFTS), y), where


def test_a_host_that_is_slow_but_not_too_slow_is_waited_for_and_0_waits_for_ever(driver, lane):
    expected = load(driver, ADAPTER)
    n = TINY.lora.vectors
    x, c = codes(3, 8, n, ADAPTER.inputs), codes(4, 20, n, ADAPTER.outputs)
    assert lane.read(register("TIMEOUT").address) == TINY.clock.timeout_clocks == 1_000_000_000
    for timeout, clocks in ((1000, 900), (0, 20_000)):
        set_timeout(lane, timeout)
        driver.start(describe(driver, Kind.FORWARD), 1000)
        lane.advance(clocks)
        for name, operand in (("x", x), ("c", c)):
            lane.send(name, pack_beats(operand, TINY.lora, beat_type(TINY, name)))
            lane.advance(clocks)
        lane.expect("y", TINY.lora.blocks(n) * TINY.lora.groups(ADAPTER.outputs))
        beats = lane.run_until_idle(10_000)["y"].beats
        driver.wait_for_end(1000)
        assert np.array_equal(unpack_beats(beats, TINY.lora, n, ADAPTER.outputs),
                              lora.forward(expected, torch.from_numpy(x), torch.from_numpy(c))[0])


def test_a_reset_puts_the_generators_back(driver, lane):
    driver.seed(5, 8)
    lane.reset()
    assert driver.read_generators(8).tolist() == [1] * 8


def test_the_host_reaches_the_memories_while_an_operation_waits(driver, lane):
    load(driver, ADAPTER)
    driver.start(stuck_operation(driver, ADAPTER), 1000)
    lane.advance(100)
    other = dataclasses.replace(ADAPTER, adapter=300)
    a, b = codes(8, 16, other.rank, other.inputs), codes(9, 16, other.outputs, other.rank)
    driver.load_adapter(a, b, other.adapter)
    assert all(np.array_equal(*pair) for pair in zip(driver.read_adapter(other), (a, b), strict=True))
    assert lane.read(register("COMPLETED").address) == 0
    driver.soft_reset()


def test_clocks_are_counted_from_reset_and_from_a_clear(driver, lane):
    first = driver.counters()["clocks"]
    assert abs(first - lane.cycles) < 100
    lane.advance(1000)
    assert driver.counters()["clocks"] >= first + 1000
    driver.clear_counters()
    assert driver.counters()["clocks"] < 100


def test_what_lies_nowhere_is_an_error_on_the_bus(lane, driver):
    weights = window("weights")
    elements = TINY.sram.words * TINY.lora.row_elements
    for address in (0x3C, 0x3FC, weights.address + weights.stride * elements):
        with pytest.raises(LaneFailure, match="SLVERR"):
            lane.read(address)
    with pytest.raises(LaneFailure, match="SLVERR"):
        lane.write(register("IDENTITY").address, 0)
    assert lane.read(register("IDENTITY").address) == register("IDENTITY").pack()
