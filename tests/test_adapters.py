"""Adapters by name, on the chip in the native lane: select, sum, keep, commit, roll back, erase."""

import contextlib
import dataclasses
import zlib

import numpy as np
import pytest
import torch
from rmdlora.cosim.native import NativeLane
from rmdlora.gen.adapters import Adapters
from rmdlora.gen.driver import Driver, OperationFault, Shifts
from rmdlora.golden import lora
from rmdlora.golden.generator import seed_generators
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.spec.registers import SLOTS, SUMMED, Fault, Kind, register
from rmdlora.golden.sums import part_of, sum_layers

TINY = load_configuration("tiny")
SHIFTS = Shifts(p=9, u=10, w=20, q=9, dx=10, va=5, vb=6, lra=6, lrb=5, momentum=2)
K, D, N = 9, 7, 5


@pytest.fixture(scope="module")
def lane():
    """The chip alone, in the native lane."""
    return NativeLane(TINY)


@pytest.fixture
def adapters(lane):
    """The adapters of a chip just reset: none."""
    lane.reset()
    adapters = Adapters(Driver(lane, TINY), first=8, first_slot=3)
    for slot in range(SLOTS):       # no reset clears them
        adapters.write_slot(slot, 0, 0, valid=0)
    return adapters


def codes(seed, bits, *shape):
    """Random codes of a width, the corners among them."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    values = np.random.default_rng(seed).integers(low, high, shape, endpoint=True)
    values.flat[0], values.flat[-1] = low, high
    return values


def add(adapters, name, rank=5, seed=1):
    """Add an adapter of random codes; ``(a, b, va, vb)``."""
    arrays = (codes(seed, 16, rank, K), codes(seed + 1, 16, D, rank), codes(seed + 2, 30, rank, K),
              codes(seed + 3, 30, D, rank))
    adapters.add(name, *arrays)
    return arrays


def as_layer(arrays):
    """The oracle's layer of ``(a, b, va, vb)``."""
    a, b, va, vb = (torch.from_numpy(np.array(array, np.int64)) for array in arrays)
    return lora.Layer(a, b, va=va, vb=vb, shifts=lora.Shifts(**dataclasses.asdict(SHIFTS)), formats=TINY.formats)


def check(adapters, name, arrays):
    """What operations on ``name`` work on is these codes."""
    for found, expected in zip((*adapters.read(name), *adapters.read_states(name)), arrays, strict=True):
        assert np.array_equal(found, expected)


def checksum_of(arrays, adapter):
    """CRC-32 of an adapter: elements where the layout says, 0 between."""
    a, b, va, vb = arrays
    layout = TINY.lora.layout(K, D, len(a))
    elements = np.zeros(layout.words * TINY.lora.row_elements, [("weight", "<i4"), ("state", "<i8")])
    for j in range(len(a)):
        for i in range(K):
            elements[layout.a_element(j, i)] = a[j, i], va[j, i]
        for o in range(D):
            elements[layout.b_element(o, j)] = b[o, j], vb[o, j]
    return zlib.crc32(elements.tobytes())


def memories(driver):
    """Every row word of weights and states: two arrays (words, elements)."""
    elements = np.arange(TINY.sram.words * TINY.lora.row_elements)
    return [driver.read_window(name, elements).reshape(TINY.sram.words, -1) for name in ("weights", "states")]


def train(adapters, name, steps=2):
    """Change what operations on ``name`` work on."""
    driver, layer = adapters.driver, adapters.layer(name)
    for step in range(steps):
        x, g = codes(50 + step, 8, N, K), codes(60 + step, 16, N, D)
        driver.train(layer, x, g, shifts=SHIFTS, batch=2, nearest=True)


def test_an_adapter_is_selected_by_its_slot_and_gives_what_the_oracle_says(adapters):
    driver = adapters.driver
    given = {name: add(adapters, name, rank, seed) for name, rank, seed in (("first", 5, 1), ("second", 3, 9))}
    x, g = codes(3, 8, N, K), codes(4, 16, N, D)
    for name in ("second", "first", "second"):
        expected = as_layer(given[name])
        layer, before = adapters.layer(name), driver.counters()
        y, p = lora.forward(expected, torch.from_numpy(x))
        dx, _, va, vb = lora.backward(expected, torch.from_numpy(x), p, torch.from_numpy(g))
        assert np.array_equal(driver.forward(layer, x, shifts=SHIFTS), y)
        assert np.array_equal(driver.backward(layer, x, g, SHIFTS), dx)
        driver.update(layer, SHIFTS, nearest=True)
        given[name] = tuple(array.numpy() for array in lora.update(dataclasses.replace(expected, va=va, vb=vb))[:4])
        sizes, pipeline, after = (K, D, len(given[name][0])), TINY.pipeline, driver.counters()
        assert after["forward"] - before["forward"] == pipeline.forward(N, *sizes)
        assert after["backward"] - before["backward"] == pipeline.backward(N, *sizes)
        assert after["update"] - before["update"] == pipeline.update(*sizes)
        assert after["updates"] == before["updates"] + 1
    for name, arrays in given.items():
        check(adapters, name, arrays)


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("ranks", [(3, 2), (1, 4, 2), (2, 2, 1, 1)], ids=str)
def test_a_sum_of_adapters_is_one_adapter_of_all_their_lanes(adapters, ranks, nearest):
    driver, names = adapters.driver, "abcd"[:len(ranks)]
    given = [as_layer(add(adapters, name, rank, seed=11 * rank + index))
             for index, (name, rank) in enumerate(zip(names, ranks, strict=True))]
    masks = {"a": 1}, {"a": 0}      # of the others, all lanes
    given[0] = dataclasses.replace(given[0], active=torch.arange(ranks[0]) == 0,
                                   trainable=torch.zeros(ranks[0], dtype=torch.bool))
    expected, layer = sum_layers(given, TINY.lora), adapters.layer(*names, active=masks[0], trainable=masks[1])
    assert layer.rank <= expected.rank == TINY.lora.offsets(ranks)[-1]
    driver.seed(5, TINY.geometry.max_rank)
    driver.clear_counters()
    x, g = codes(3, 8, N, K), codes(4, 16, N, D)
    y, p = lora.forward(expected, torch.from_numpy(x))
    dx, _, va, vb = lora.backward(expected, torch.from_numpy(x), p, torch.from_numpy(g))
    generators = None if nearest else seed_generators(5, expected.rank, "cpu")
    assert np.array_equal(driver.forward(layer, x, shifts=SHIFTS), y)
    assert np.array_equal(driver.backward(layer, x, g, SHIFTS), dx)
    driver.update(layer, SHIFTS, nearest)
    a, b, va, vb, generators = lora.update(dataclasses.replace(expected, va=va, vb=vb), generators)
    expected = dataclasses.replace(expected, a=a, b=b, va=va, vb=vb)
    for index, name in enumerate(names):
        check(adapters, name, part_of(expected, ranks, index, TINY.lora))
    if not nearest:
        assert driver.read_generators(expected.rank).tolist() == generators.tolist()
    counts, pipeline = driver.counters(), TINY.pipeline
    bases = [adapters.adapters[name].kept for name in names]
    assert counts["forward"] == pipeline.forward(N, K, D, expected.rank)
    assert counts["backward"] == pipeline.sum_backward(N, K, D, ranks, bases)
    assert counts["update"] == pipeline.sum_update(K, D, ranks, bases)


@pytest.mark.parametrize("operation", ["forward", "backward", "update", "train", "nothing", "checksum"])
def test_after_any_operation_a_roll_back_leaves_what_was_before_the_snapshot(adapters, operation):
    before, other = add(adapters, "one"), add(adapters, "two", seed=7)
    adapters.snapshot("one")
    check(adapters, "one", before)
    driver, layer = adapters.driver, adapters.layer("one")
    x, g = codes(3, 8, N, K), codes(4, 16, N, D)
    if operation in ("forward", "backward"):
        driver.forward(layer, x, shifts=SHIFTS)
    if operation == "backward":
        driver.backward(layer, x, g, SHIFTS)
    if operation == "update":
        driver.update(layer, SHIFTS)
    if operation == "train":
        train(adapters, "one")
    if operation == "checksum":
        assert adapters.checksum("one") == checksum_of(before, "one")
    changed = [not np.array_equal(*pair) for pair in zip(
        (*adapters.read("one"), *adapters.read_states("one")), before, strict=True)]
    assert any(changed) == (operation in ("backward", "update", "train"))
    adapters.roll_back("one")
    check(adapters, "one", before)
    check(adapters, "two", other)
    expected, _ = lora.forward(as_layer(before), torch.from_numpy(x))
    assert np.array_equal(driver.forward(adapters.layer("one"), x, shifts=SHIFTS), expected)


@pytest.mark.parametrize("hard", [False, True])
def test_a_reset_before_the_commit_leaves_the_old_adapter_and_after_it_the_new_one(adapters, lane, hard):
    before = add(adapters, "one")
    slot = adapters.adapters["one"].slot
    adapters.snapshot("one")
    train(adapters, "one")
    after = (*adapters.read("one"), *adapters.read_states("one"))
    for expected in (before, after):
        lane.reset() if hard else adapters.driver.soft_reset()
        restarted = Adapters(Driver(lane, TINY), first=8)
        restarted.adopt("one", slot, K, D)
        check(restarted, "one", expected)
        adapters.driver = restarted.driver
        if expected is before:
            adapters.commit("one")
    check(adapters, "one", after)
    adapters.snapshot("one")
    train(adapters, "one")
    adapters.roll_back("one")
    check(adapters, "one", after)


def test_an_operation_queued_before_a_commit_still_works_on_the_adapter_it_named(adapters, lane):
    before = add(adapters, "one")
    adapters.snapshot("one")
    train(adapters, "one")
    driver, x = adapters.driver, codes(3, 8, N, K)
    entry, adapter = register("SLOT"), adapters.adapters["one"]
    trained = as_layer((*adapters.read("one"), *adapters.read_states("one")))
    layer = dataclasses.replace(adapters.layer("one"), slots=(adapter.slot,))
    fields = {**layer.fields, **dataclasses.asdict(SHIFTS), "kind": Kind.FORWARD, "vectors": N, "crossbar": 0,
              "nearest": 0}
    for expected in (as_layer(before), trained):
        driver.start(fields, 1000)
        lane.advance(100)
        lane.write(entry.address + 4 * adapter.slot, entry.pack(base=adapter.other, rank=5, valid=1))
        lane.send("x", x.astype(np.int8)[:, np.arange(10) % K].reshape(-1, 2))      # a vector a block, 5 beats each
        lane.send("c", np.zeros((N * 4, 2), np.int32))
        lane.expect("y", N * 4)
        y = lane.run_until_idle(10_000)["y"].beats.reshape(N, 8)[:, :D]
        driver.wait_for_end(1000)
        assert np.array_equal(y, lora.forward(expected, torch.from_numpy(x))[0])


def test_an_erasure_leaves_nothing_of_an_adapter_nor_of_its_versions_and_all_of_the_others(adapters):
    driver = adapters.driver
    driver.clear_counters()
    add(adapters, "gone")
    other = add(adapters, "other", 3, seed=7)
    adapters.snapshot("gone")
    train(adapters, "gone")
    adapters.commit("gone")
    adapters.snapshot("gone")
    train(adapters, "gone", 1)
    adapter = dataclasses.replace(adapters.adapters["gone"])
    places = [slice(base, base + TINY.lora.layout(K, D, 5).words) for base in (adapter.kept, adapter.other)]
    found = memories(driver)
    assert all(memory[place].any() for memory in found for place in places)
    checksums = adapters.erase("gone")
    zeros = zlib.crc32(bytes(12 * TINY.lora.layout(K, D, 5).words * TINY.lora.row_elements))
    assert checksums == {adapter.kept: zeros, adapter.other: zeros}
    for memory in found:
        for place in places:
            memory[place] = 0
    for memory, expected in zip(memories(driver), found, strict=True):
        assert np.array_equal(memory, expected)
    check(adapters, "other", other)
    assert driver.counters()["erasures"] == 2
    entry = register("SLOT")
    assert [driver.transport.read(entry.address + 4 * slot) for slot in (adapter.slot, adapter.draft_slot)] == [0, 0]
    with pytest.raises(RefusedValue, match="adapter must be one of 'other', not 'gone'"):
        adapters.layer("gone")
    add(adapters, "gone", 6, seed=20)


class Interrupted(Exception):
    """A reset came in between."""


class Fuse:
    """A transport to the lane that resets the chip behind ``left`` register accesses and clocks of waiting."""

    def __init__(self, lane, left, hard):
        self.lane, self.left, self.hard, self.burnt = lane, left, hard, False

    def burn(self):
        """One access or clock less; reset at the last."""
        if self.left == 0:
            control = register("CONTROL")
            self.lane.reset() if self.hard else self.lane.write(control.address, control.pack(soft_reset=1))
            self.burnt = True
            raise Interrupted
        self.left -= 1

    def write(self, address, word):
        self.burn()
        self.lane.write(address, word)

    def read(self, address):
        self.burn()
        return self.lane.read(address)

    def write_many(self, addresses, words):
        for address, word in zip(addresses, words, strict=True):
            self.write(int(address), int(word))

    def read_many(self, addresses):
        return [self.read(int(address)) for address in addresses]

    def run_until_high(self, port, limit):
        for _ in range(limit):
            if self.lane.model.io[port] & 1:
                return
            self.burn()
            self.lane.advance(1)


@pytest.mark.parametrize("version", ["only", "draft", "old"])
def test_an_erasure_cut_off_at_any_clock_is_not_taken_for_one(adapters, lane, version):
    inputs, outputs, left = 3, 2, 0
    words = TINY.lora.layout(inputs, outputs, 3).words * (1 if version == "only" else 2)
    places = np.arange(8 * TINY.lora.row_elements, (8 + words) * TINY.lora.row_elements)
    before = (codes(1, 16, 3, inputs), codes(2, 16, outputs, 3))
    partly = whole = 0
    while True:
        adapters.driver = Driver(lane, TINY)
        adapters.adapters.clear()
        for slot in range(3, SLOTS):
            adapters.write_slot(slot, 0, 0, valid=0)
        adapters.add("gone", *before, codes(3, 30, 3, inputs), codes(4, 30, outputs, 3))
        slot = adapters.adapters["gone"].slot
        if version != "only":
            adapters.snapshot("gone")
        if version == "old":
            adapters.commit("gone")
        fuse = adapters.driver.transport = Fuse(lane, left, hard=left // 2 % 2)
        left += 1
        with contextlib.suppress(Interrupted):
            adapters.erase("gone")
        if not fuse.burnt:
            break
        driver = adapters.driver = Driver(lane, TINY)
        if left % 2 == 0:   # the same host goes on: the name stands, and nothing works on what may be left
            if adapters.adapters["gone"].erasing:
                with pytest.raises(RefusedValue, match="adapter 'gone' must be erased again"):
                    adapters.layer("gone")
            adapters.erase("gone")
        else:               # another one, that knows the slot and the sizes
            restarted = Adapters(driver, first=8, first_slot=3)
            marked = restarted.unfinished()
            if driver.read_window("weights", places).any() and slot not in marked:
                restarted.adopt("gone", slot, inputs, outputs)
                found = restarted.read("gone")
                assert all(np.array_equal(*pair) for pair in zip(found, before, strict=True))
                whole += 1
                if version == "old" and not marked:
                    continue    # nothing has begun: what a commit left behind is known to the host alone
                restarted.erase("gone")
            for index, one in enumerate(marked):
                partly += 1
                restarted.adopt(f"rest {index}", one, inputs, outputs)
                restarted.erase(f"rest {index}")
            assert restarted.unfinished() == []
            if version == "draft" and not marked:
                continue        # untouched, the draft in its own slot
        for name in ("weights", "states"):
            assert not driver.read_window(name, places).any(), (left, version)
    assert left > 80 and partly > 20 and whole


def test_a_checksum_is_the_one_of_the_codes_and_changes_with_any_of_them(adapters):
    arrays = add(adapters, "one", 3)
    first = adapters.checksum("one")
    assert first == checksum_of(arrays, "one")
    driver, layer = adapters.driver, adapters.version(adapters.find("one"))
    for index in range(4):
        changed = [np.array(array) for array in arrays]
        changed[index][-1, -1] ^= 1
        driver.load_adapter(*changed[:2], layer.adapter)
        driver.load_states(layer, *changed[2:])
        assert adapters.checksum("one") == checksum_of(changed, "one") != first


def test_a_slot_that_is_not_valid_is_refused_by_the_chip(adapters):
    add(adapters, "one")
    layer, x = adapters.layer("one"), codes(3, 8, N, K)
    fields = {**layer.fields, **dataclasses.asdict(SHIFTS), "kind": Kind.UPDATE, "vectors": 1, "crossbar": 0,
              "nearest": 0}
    before = memories(adapters.driver)
    for broken in ({"slot_0": 17}, {"slots": SUMMED + 1}):
        adapters.driver.start({**fields, **broken}, 1000)
        with pytest.raises(OperationFault, match="slot") as caught:
            adapters.driver.wait_for_end(1000)
        assert caught.value.code == Fault.SLOT
    for memory, expected in zip(memories(adapters.driver), before, strict=True):
        assert np.array_equal(memory, expected)
    adapters.driver.forward(layer, x, shifts=SHIFTS)


def test_what_breaks_a_rule_of_adapters_is_refused_by_name(adapters):
    add(adapters, "one")
    refusals = [
        (lambda: adapters.layer("two"), "adapter must be one of 'one', not 'two'"),
        (lambda: add(adapters, "one"), "name must be new, not 'one'"),
        (lambda: adapters.commit("one"), "adapter 'one' must have a snapshot behind it"),
        (lambda: adapters.roll_back("one"), "adapter 'one' must have a snapshot behind it"),
        (lambda: adapters.layer(*["one"] * 2), "must be 1 to .* different ones, not one, one"),
        (lambda: (adapters.add("b", codes(1, 16, 5, K), codes(2, 16, D, 5)), adapters.layer("one", "b")),
         "lanes of adapters one, b must be at most those of rank 8, not 12"),
        (lambda: (adapters.add("c", codes(1, 16, 1, 4), codes(2, 16, D, 1)), adapters.layer("one", "c")),
         "inputs of adapter 'c' must be 9 as of 'one', not 4"),
        (lambda: adapters.layer(), "must be 1 to .* different ones"),
        (lambda: adapters.layer("one", active={"one": 0b100000}), "masks of adapter 'one' must be of its 5 lanes"),
        (lambda: adapters.layer("one", active={"one": 1}, trainable={"one": 2}), "trainable ones active"),
        (lambda: adapters.layer("one", trainable={"two": 2}), "trainable must be of adapters of the operation"),
        (lambda: adapters.adopt("two", 9, K, D), "slot of adapter 'two' must be valid, and 9 is not"),
        (lambda: adapters.add("large", codes(1, 16, 8, 64), codes(2, 16, 64, 8)), None),
        (lambda: adapters.add("too", codes(1, 16, 8, 64), codes(2, 16, 64, 8)), "row words .* must be free"),
        (lambda: adapters.snapshot("large"), "row words .* must be free"),
    ]
    for refused, words in refusals:
        if words is None:
            refused()
            continue
        with pytest.raises(RefusedValue, match=words):
            refused()
    adapters.snapshot("one")
    with pytest.raises(RefusedValue, match="adapter 'one' must be committed or rolled back before"):
        adapters.snapshot("one")
