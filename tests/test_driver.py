"""The driver against a chip made of dictionaries: accesses where the table says, beats as the geometry says."""

import dataclasses
import random
import subprocess
import sys
import types

import numpy as np
import pytest
from rmdlora.gen.beats import adapter_elements, beat_type, pack_beats, unpack_beats
from rmdlora.gen.driver import Driver, Layer, OperationFault, Shifts
from rmdlora.gen.transport import Transport
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.formats import lane_seed
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue
from rmdlora.golden.spec.registers import (
    OPERATION,
    OPERATION_QUEUE,
    Fault,
    Kind,
    constant_words,
    register,
    window,
)

TINY, FACE = load_configuration("tiny"), load_configuration("face")


def beats_of(codes, lanes):
    """Beats of a matrix, said as `golden.spec.geometry` says it, element by element."""
    n, positions = codes.shape
    beats = []
    for block in range(lanes.blocks(n)):
        for group in range(lanes.groups(positions)):
            beat = []
            for v in range(lanes.vectors):
                for w in range(lanes.rows):
                    vector, position = block * lanes.vectors + v, group * lanes.rows + w
                    beat.append(int(codes[vector, position]) if vector < n and position < positions else 0)
            beats.append(beat)
    return beats


class PaperChip(Transport):
    """A chip of dictionaries. Operations end only when somebody waits; `y` is ``c + x[:, :1]``, `dx` ``x + g[:, :1]``.

    ``operations``: what was started, as dicts of fields. ``fault``: a code with which the next operation is refused.
    """

    def __init__(self, configuration):
        self.configuration, self.lanes = configuration, configuration.lora
        self.words = {register(name).address: word for name, word in constant_words(configuration).items()}
        self.memories, self.held = {}, {}
        self.operations, self.waiting = [], []
        self.sent = {"x": [], "c": [], "g": []}
        self.moved = {"y": [], "dx": []}
        self.room = {"y": 0, "dx": 0}
        self.completed = self.calls = self.fault = self.most = 0

    def write(self, address, word):
        """As the register map says."""
        self.calls += 1
        self.put(address, word)

    def read(self, address):
        """As the register map says."""
        self.calls += 1
        return self.get(address)

    def write_many(self, addresses, words):
        """One call, however many words."""
        self.calls += 1
        for address, word in zip(addresses, words, strict=True):
            self.put(int(address), int(word))

    def read_many(self, addresses):
        """One call, however many words."""
        self.calls += 1
        return np.array([self.get(int(address)) for address in addresses], np.uint32)

    def put(self, address, word):
        """Store a word."""
        assert 0 <= word < 1 << 32
        if address >= window("weights").address:
            self.memories[address] = word
        elif address in (register("FAULT").address, register("INTERRUPT").address):
            self.words[address] = self.words.get(address, 0) & ~word
        elif address == register("OP_START").address:
            self.start()
        else:
            self.words[address] = word

    def get(self, address):
        """A word stored, or a count."""
        if address >= window("weights").address:
            return self.memories[address]
        return self.completed if address == register("COMPLETED").address else self.words.get(address, 0)

    def start(self):
        """Queue what the OP_* registers describe."""
        assert len(self.waiting) < OPERATION_QUEUE, "OP_START meets a full queue"
        operation = {field: self.words.get(register(name).address, 0) >> register(name).field(part).low
                     & (1 << register(name).field(part).bits) - 1 for field, (name, part) in OPERATION.items()}
        self.operations.append(operation)
        self.waiting.append(operation)

    def send(self, stream, beats):
        """Queue beats."""
        self.calls += 1
        assert beats.dtype == beat_type(self.configuration, stream)
        self.sent[stream].extend(beats)

    def expect(self, stream, count):
        """Make room."""
        self.calls += 1
        self.room[stream] += count

    def end_one(self):
        """Carry out the operation that waits longest."""
        operation = self.waiting.pop(0)
        n, k, d = (operation[field] for field in ("vectors", "inputs", "outputs"))
        interrupt = register("INTERRUPT").pack(done=1)
        if self.fault:
            self.words[register("FAULT").address] = self.fault
            interrupt, self.fault = register("INTERRUPT").pack(done=1, fault=1), 0
        elif operation["kind"] == Kind.FORWARD:
            x, c = self.take("x", n, k), self.take("c", n, d)
            self.give("y", c + x[:, :1])
        elif operation["kind"] == Kind.BACKWARD:
            x, g = self.take("x", n, k), self.take("g", n, d)
            self.give("dx", x + g[:, :1])
        self.words[register("INTERRUPT").address] = self.words.get(register("INTERRUPT").address, 0) | interrupt
        self.completed += 1

    def take(self, stream, n, positions):
        """Operands of an operation, as (n, positions)."""
        codes = np.zeros((n, positions), np.int64)
        for block in range(self.lanes.blocks(n)):
            for group in range(self.lanes.groups(positions)):
                beat = self.sent[stream].pop(0)
                for element, code in enumerate(beat):
                    vector = block * self.lanes.vectors + element // self.lanes.rows
                    position = group * self.lanes.rows + element % self.lanes.rows
                    if vector < n and position < positions:
                        codes[vector, position] = code
        return codes

    def give(self, stream, codes):
        """Results of an operation."""
        self.moved[stream].extend(beats_of(codes, self.lanes))
        assert len(self.moved[stream]) <= self.room[stream], f"no room for {stream}"

    def run_until_high(self, port, limit):
        """End an operation, where the interrupt is not up already."""
        self.calls += 1
        assert (port, limit > 0) == ("irq", True)
        if not self.words.get(register("INTERRUPT").address, 0):
            self.end_one()

    def run_until_idle(self, limit):
        """End every operation."""
        self.calls += 1
        while self.waiting:
            self.end_one()
        if any(self.sent.values()) or any(len(self.moved[stream]) != self.room[stream] for stream in self.moved):
            raise RuntimeError("stuck")
        moved, self.moved, self.room = self.moved, {"y": [], "dx": []}, {"y": 0, "dx": 0}
        return {stream: types.SimpleNamespace(
            beats=np.array(beats, beat_type(self.configuration, stream)).reshape(-1, self.lanes.beat_elements),
            clocks=100 + np.arange(len(beats))) for stream, beats in moved.items()}


def chip_and_driver(configuration=TINY):
    """A `PaperChip` and its driver."""
    chip = PaperChip(configuration)
    return chip, Driver(chip, configuration)


def codes(seed, low, high, *shape):
    """Random codes, the corners among them."""
    values = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    values.flat[0], values.flat[-1] = low, high
    return values


@pytest.mark.parametrize("name", ["tiny", "face", "default", "speaker"])
def test_elements_lie_where_the_layout_says(name):
    lanes, chance = load_configuration(name).lora, random.Random(f"elements {name}")
    for _ in range(6):
        k, d, r = chance.randint(1, 40), chance.randint(1, 40), chance.randint(1, 16)
        layout = lanes.layout(k, d, r, chance.randint(0, 99))
        a, b = adapter_elements(layout)
        assert a.tolist() == [[layout.a_element(j, i) for i in range(k)] for j in range(r)]
        assert b.tolist() == [[layout.b_element(o, j) for j in range(r)] for o in range(d)]


@pytest.mark.parametrize("configuration", [TINY, FACE], ids=lambda c: c.name)
def test_beats_are_the_geometrys_and_come_back_as_they_were(configuration):
    lanes = configuration.lora
    for n, positions in ((1, 1), (2, 3), (3, 4), (5, 7), (8, 2)):
        matrix = codes(n * positions, -128, 127, n, positions)
        beats = pack_beats(matrix, lanes, np.int8)
        assert beats.tolist() == beats_of(matrix, lanes)
        assert unpack_beats(beats, lanes, n, positions).tolist() == matrix.tolist()


def test_memories_are_written_where_the_windows_lie_and_read_back():
    chip, driver = chip_and_driver()
    r, k, d, base = 5, 9, 7, 20
    a, b = codes(1, -32768, 32767, r, k), codes(2, -32768, 32767, d, r)
    va, vb = codes(3, -(1 << 31), (1 << 31) - 1, r, k), codes(4, -(1 << 31), (1 << 31) - 1, d, r)
    layer = driver.load_adapter(a, b, base)
    assert layer == Layer(inputs=k, outputs=d, rank=r, adapter=base)
    driver.load_states(layer, va, vb)
    layout = TINY.lora.layout(k, d, r, base)
    for element, code, state in ((layout.a_element(4, 8), a[4, 8], va[4, 8]),
                                 (layout.b_element(6, 0), b[6, 0], vb[6, 0]),
                                 (layout.a_element(0, 0), a[0, 0], va[0, 0])):
        assert chip.memories[window("weights").address + 4 * element] == code & 0xFFFFFFFF
        assert chip.memories[window("states").address + 8 * element] == state & 0xFFFFFFFF
        assert chip.memories[window("states").address + 8 * element + 4] == state >> 32 & 0xFFFFFFFF
    for found, expected in zip((*driver.read_adapter(layer), *driver.read_states(layer)), (a, b, va, vb), strict=True):
        assert np.array_equal(found, expected)
    driver.load_states(layer)
    assert not any(states.any() for states in driver.read_states(layer))

    gain, offset = codes(5, -32768, 32767, d), codes(6, -(1 << 31), (1 << 31) - 1, d)
    driver.set_calibration(gain, offset, 3)
    place = window("calibration").address + 16 * (3 * TINY.lora.rows + d - 1)
    assert [chip.memories[place + at] for at in (0, 8, 12)] == [32767, (1 << 31) - 1, 0]
    assert [found.tolist() for found in driver.read_calibration(d, 3)] == [gain.tolist(), offset.tolist()]

    driver.seed(77, r)
    assert driver.read_generators(r).tolist() == [lane_seed(77, lane) for lane in range(r)]
    assert chip.words[register("GENERATOR").address + 4] == lane_seed(77, 1)


def test_the_high_word_of_a_state_is_written_after_the_low_one():
    chip, driver = chip_and_driver()
    order = []
    chip.put = lambda address, word: order.append(address)
    driver.load_states(Layer(inputs=2, outputs=2, rank=2))
    assert len(order) == 16
    assert all(high == low + 4 and low % 8 == 0 for low, high in zip(order[::2], order[1::2], strict=True))


@pytest.mark.parametrize("configuration", [TINY, FACE], ids=lambda c: c.name)
def test_operands_and_results_meet_their_operations(configuration):
    chip, driver = chip_and_driver(configuration)
    n, k, d = 5, 7, 9
    x, c, g = codes(1, -100, 100, n, k), codes(2, -500, 500, n, d), codes(3, -100, 100, n, d)
    layer = Layer(inputs=k, outputs=d, rank=4, adapter=8, calibration=2, active=0b1011, trainable=0b0010)
    shifts = Shifts(p=1, u=2, w=3, q=4, dx=5, va=6, vb=7, lra=8, lrb=9, momentum=10)
    y = driver.forward(layer, x, c, shifts)
    assert y.dtype == np.int16
    assert y.tolist() == (c + x[:, :1]).tolist()
    assert driver.forward(layer, x).tolist() == np.repeat(x[:, :1], d, axis=1).tolist()
    assert driver.backward(layer, x, g, shifts).tolist() == (x + g[:, :1]).tolist()
    driver.update(layer, shifts, nearest=True)
    kinds = [(operation["kind"], operation["vectors"], operation["nearest"]) for operation in chip.operations]
    assert kinds[:3] == [(Kind.FORWARD, n, 0), (Kind.FORWARD, n, 0), (Kind.BACKWARD, n, 0)]
    expected = {**dataclasses.asdict(layer), **dataclasses.asdict(shifts), "crossbar": 0}
    for operation in (chip.operations[0], chip.operations[2]):
        assert {field: operation[field] for field in expected} == expected
    assert (chip.operations[3]["kind"], chip.operations[3]["nearest"]) == (Kind.UPDATE, 1)
    assert driver.started == driver.ended == 4


def test_without_masks_every_lane_is_active_and_trainable():
    assert Layer(1, 1, 3).masks == (0b111, 0b111)
    assert Layer(1, 1, 3, active=0b101).masks == (0b101, 0b101)
    assert Layer(1, 1, 3, active=0b101, trainable=0).masks == (0b101, 0)


@pytest.mark.parametrize("batch", [1, 3, 8, 20, 100])
def test_a_training_run_is_cut_at_batch_ends_and_every_chunk(batch):
    chip, driver = chip_and_driver()
    n, k, d = 21, 3, 5
    x, c, g = codes(1, -100, 100, n, k), codes(2, -500, 500, n, d), codes(3, -100, 100, n, d)
    y, dx = driver.train(Layer(inputs=k, outputs=d, rank=2), x, g, c, batch)
    assert y.tolist() == (c + x[:, :1]).tolist()
    assert dx.tolist() == (x + g[:, :1]).tolist()
    expected = []
    for start in range(0, n, batch):
        end = min(start + batch, n)
        for begin in range(start, end, TINY.lora.chunk):
            size = min(TINY.lora.chunk, end - begin)
            expected += [(Kind.FORWARD, size), (Kind.BACKWARD, size)]
        expected.append((Kind.UPDATE, 1))
    assert [(operation["kind"], operation["vectors"]) for operation in chip.operations] == expected
    clocks = driver.clocks("y")
    assert clocks.shape == y.shape
    assert clocks[0].tolist() == [100 + i // TINY.lora.rows for i in range(d)]
    assert clocks[-1, -1] == 100 + n * TINY.lora.groups(d) - 1     # one vector a block here


def test_a_thousand_updates_take_a_handful_of_calls_each():
    chip, driver = chip_and_driver()
    n = 1000
    driver.train(Layer(inputs=2, outputs=2, rank=2), codes(1, -9, 9, n, 2), codes(2, -9, 9, n, 2))
    assert len(chip.operations) == 3 * n
    assert chip.calls < 4 * len(chip.operations) + 50


def test_a_large_adapter_is_one_call_each_way():
    chip, driver = chip_and_driver(load_configuration("default"))
    before = chip.calls
    a, b = codes(1, -32768, 32767, 16, 1200), codes(2, -32768, 32767, 1200, 16)
    layer = driver.load_adapter(a, b)
    found = driver.read_adapter(layer)
    assert chip.calls - before == 2
    assert np.array_equal(found[0], a)
    assert np.array_equal(found[1], b)


def test_a_fault_is_raised_by_its_name_and_the_driver_goes_on():
    chip, driver = chip_and_driver()
    layer = Layer(inputs=2, outputs=2, rank=2)
    chip.fault = Fault.SPACE
    with pytest.raises(OperationFault, match=r"fault space \(3\)") as caught:
        driver.update(layer)
    assert caught.value.code == Fault.SPACE
    driver.update(layer)
    chip.fault = Fault.BOARD
    with pytest.raises(OperationFault, match="board"):      # and not "stuck", which is what the transport says
        driver.forward(layer, np.zeros((3, 2), int))


def test_counters_are_put_together_from_their_halves():
    chip, driver = chip_and_driver()
    for name, word in (("CYCLES_FORWARD", 7), ("CYCLES_FORWARD_HIGH", 2), ("TILE_READS", 9), ("CYCLES_UPDATE", 1)):
        chip.words[register(name).address] = word
    counts = driver.counters()
    assert (counts["forward"], counts["backward"], counts["update"]) == ((2 << 32) + 7, 0, 1)
    assert (counts["tile_reads"], counts["completed"]) == (9, 0)


def test_the_boards_start_up_is_awaited_or_reported():
    chip, driver = chip_and_driver()
    status = register("STATUS")
    with pytest.raises(OperationFault, match="board"):
        driver.wait_board(5000)
    chip.words[status.address] = status.pack(board_ready=1)
    driver.wait_board()
    chip.words[status.address] = status.pack(board_fault=1)
    with pytest.raises(OperationFault, match="board"):
        driver.wait_board(1 << 40)


def test_what_breaks_a_rule_is_refused_before_anything_is_sent():
    chip, driver = chip_and_driver()
    layer, x, g = Layer(inputs=2, outputs=3, rank=2), np.zeros((4, 2), int), np.zeros((4, 3), int)
    before = chip.calls
    refusals = [
        (lambda: driver.forward(layer, x.astype(float)), RefusedType, "x must be integers, not float64"),
        (lambda: driver.forward(layer, x + 128), RefusedValue, "x must fit 8 bits, not 128..128"),
        (lambda: driver.forward(layer, x[:, :1]), RefusedValue, r"x must be \(n, 2\), not \(4, 1\)"),
        (lambda: driver.forward(layer, x[:0]), RefusedValue, r"x must be \(n, 2\), not \(0, 2\)"),
        (lambda: driver.forward(layer, x, g[:3]), RefusedValue, r"c must have as many vectors as x \(4\), not 3"),
        (lambda: driver.backward(layer, x, g[:3]), RefusedValue, "g must have as many vectors"),
        (lambda: driver.train(layer, x, g, batch=0), RefusedValue, "batch must be an integer of at least 1, not 0"),
        (lambda: Shifts(p=48), RefusedValue, r"p_shift must be an integer of 0\.\.47, not 48"),
        (lambda: Shifts(lra=32), RefusedValue, r"lra_shift must be an integer of 0\.\.31, not 32"),
        (lambda: Shifts(momentum=16), RefusedValue, r"momentum_shift must be an integer of 0\.\.15"),
        (lambda: driver.load_adapter(x, x), RefusedValue, r"b must be \(d, 4\) beside a of \(4, 2\), not \(4, 2\)"),
        (lambda: driver.load_adapter(np.zeros((2, 60), int), np.zeros((60, 2), int), 500), RefusedValue,
         "adapter must end within the 512 row words of the buffer, not at 560"),
        (lambda: driver.load_states(layer, va=np.zeros((3, 2), int)), RefusedValue,
         r"va must be \(2, 2\), not \(3, 2\)"),
        (lambda: driver.set_calibration(np.zeros(3, int), np.zeros(2, int)), RefusedValue,
         r"offset must be \(3,\) as gain, not \(2,\)"),
        (lambda: driver.set_calibration(np.zeros(3, int), np.zeros(3, int), 63), RefusedValue,
         "calibration must end within its 64 row words, not at 65"),
        (lambda: driver.seed(1 << 32, 2), RefusedValue, "seed must be an integer"),
        (lambda: driver.seed(1, 9), RefusedValue, r"rank must be an integer of 1\.\.8, not 9"),
    ]
    for refused, kind, words in refusals:
        with pytest.raises(kind, match=words):
            refused()
    assert chip.calls == before


def test_a_chip_of_another_configuration_is_refused():
    with pytest.raises(RefusedValue, match=r"LANES of the chip must be 0x8010202, .* tiny, not 0x10020202"):
        Driver(PaperChip(FACE), TINY)


def test_the_driver_needs_neither_torch_nor_amaranth():
    script = ("import sys, rmdlora.gen.driver; "
              "print(sorted({'torch', 'amaranth', 'cocotb', 'rmdlora.hdl'} & set(sys.modules)))")
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "[]"
