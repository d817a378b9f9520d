"""A network on the RTL: cells programmed at the pins, inputs through them, training whose every update is the chip's.

The chip is the generated Verilog, simulated with its board behind the driver; beside it the oracle does the same, on an
array programmed alike. Everything the chip gives is compared with it: results of the programming, output codes of every
layer, gradients, adapters, optimiser states, random generators.
"""

import dataclasses

import numpy as np
from rmdlora.gen.driver import Driver
from rmdlora.golden.hybrid import LayerRun, OracleLayers, map_network
from rmdlora.golden.spec.formats import Shifts
from rmdlora.golden.training import OracleUnit

from .board import Board, violations
from .hybrid import ArrayRead, BoardRead, RtlLayers, first_difference
from .native import NativeLane
from .programmer import map_codes, program_tile

__all__ = ["Chip"]

CELLS = 8                   # that the chip programs itself, the first of a column
TOLERANCE_US = 2.0
KEYS = ("a", "b", "va", "vb")


class Chip:
    """The chip on its board, and the oracle's twin of the board.

    ``seed``: of the stochastic rounding; ``pinned``: the layer whose first cells, in its first column, the chip
    programs itself; it is the last of its network; ``tuned``: as of `native.NativeLane`.

    ``troubles``: a line for everything that differed; ``counts``: what the chip counted, {part: {counter: count}};
    ``compared``: codes that were, by part. ``networks``, ``logits`` (n, outputs) and ``identity`` (n,) by stage, of the
    inputs that went through the pins.
    """

    def __init__(self, configuration, pinned, seed=0, tuned=False):
        self.configuration, self.seed, self.pinned = configuration, seed, pinned
        self.world, self.twin = Board(configuration), Board(configuration)
        quiet = dataclasses.replace(self.twin.array.preset, read=0, floor=0)
        self.quiet = Board(configuration, preset=quiet)
        self.quiet.array.conductances = self.twin.array.conductances
        self.oracle = OracleLayers(configuration, BoardRead(self.twin))
        self.trainer = OracleLayers(configuration, ArrayRead(self.quiet))
        self.lane = NativeLane(configuration, board=True, tuned=tuned)
        self.world.attach(self.lane.library)
        self.driver = Driver(self.lane, configuration)
        self.driver.wait_board()
        self.troubles, self.counts, self.compared = [], {}, {}
        self.networks, self.logits, self.identity = {}, {}, {}

    # Programming

    def program(self, model, inputs):
        """Program ``model``'s weights: all cells in the array model, but a few of layer ``pinned``, which the chip
        programs through its pins. Gives the network, calibrated on the twin with training ``inputs``."""
        def write(targets, tile):
            tiles = np.arange(tile, tile + len(targets))
            for board in (self.world, self.twin):
                board.array.program(tiles, targets)
            if tile == last:
                self.program_cells(tile, targets[0])
            return self.twin.array.conductances[tiles].astype(np.int64)

        last = sum(self.configuration.row_tiles(k) * self.configuration.column_tiles(d)
                   for name, (d, k) in model.shapes.items() if name != self.pinned)
        network = map_network(model, inputs, self.configuration, ArrayRead(self.twin), write)
        self.world.array.events[:] = self.twin.array.events     # calibration is the twin's; the next read is alike
        return network

    def program_cells(self, tile, targets):
        """Empty some cells of ``tile`` and have the chip program them to ``targets`` (rows, columns)."""
        skip = np.ones(targets.shape, dtype=bool)
        skip[:CELLS, 0] = False
        codes = map_codes(targets, self.configuration)
        margin = int(map_codes(self.configuration.device.units(TOLERANCE_US), self.configuration))
        for board in (self.world, self.twin):
            board.array.conductances[tile][~skip] = 0
        before = self.driver.counters()
        pulses, status = self.driver.program_tile(tile, codes, margin, skip=skip)
        after = self.driver.counters()
        wanted = program_tile(self.twin.array, tile, codes, margin, skip=skip)
        self.compare("pulses of the programming", pulses, wanted.pulses)
        self.compare("result of the programming", status, wanted.status)
        self.compare("conductance after the programming", self.world.array.conductances[tile],
                     self.twin.array.conductances[tile])
        self.counts["programming"] = {name: after[name] - before[name] for name in after} | {
            "cells": int((~skip).sum())}

    # Inference

    def load(self, network):
        """Load a network's adapters and calibration into the chip; states and generators begin anew."""
        self.layers = RtlLayers(self.driver, network)
        self.layers.load()
        for place in self.layers.places.values():
            self.driver.load_states(place)
        self.driver.seed(self.seed, self.configuration.geometry.max_rank)

    def infer(self, network, inputs, slots, report):
        """Run ``inputs`` through the pins, one by one; every output code must be the oracle's. Gives the network's
        outputs (n, outputs). ``report()`` is called after each."""
        def both(layer, x, active):
            run, wanted = self.layers(layer, x, active), self.oracle(layer, x, active)
            self.compare(f"y of {layer.name}", run.y, wanted.y, run.seen["clocks"])
            return run

        given = []
        for one in inputs:
            output, _ = network.run(one[None], both, slots)
            given.append(output.numpy())
            report()
        return np.concatenate(given)

    # Training

    def __call__(self, layer, x, active):
        """A backend for training: sums of the array model, streamed in; where an adapter is active, the rest is the
        chip's and compared."""
        wanted = self.trainer(layer, x, active)
        if not active.any():
            return wanted
        place = dataclasses.replace(self.layers.places[layer.name], active=mask_of(active))
        y = self.driver.forward(place, x, wanted.seen["c"], Shifts(p=layer.p_shift, u=layer.u_shift, w=layer.w_shift))
        self.compare(f"y of {layer.name} in training", y.astype(np.int64), wanted.y, self.driver.clocks("y"))
        return LayerRun(layer, x, y.astype(np.int64), wanted.cycles, wanted.seen)

    def step(self, layer, x, g, shifts, active, trainable):
        """As `OracleUnit.step`, on the chip, and compared with ``self.unit``, which does the same."""
        place = dataclasses.replace(self.layers.places[layer.name], active=mask_of(active),
                                    trainable=mask_of(trainable))
        _, dx = self.driver.train(place, x, g, batch=len(x), shifts=shifts)
        a, b = self.driver.read_adapter(place)
        dx = dx.astype(np.int64)
        for name, given, wanted in zip(("dx", "a", "b"), (dx, a, b),
                                       self.unit.step(layer, x, g, shifts, active, trainable), strict=True):
            self.compare(f"{name} of {layer.name}", given, wanted)
        return dx, a, b

    def train(self, network, work):
        """Train ``network`` by ``work(backend, unit)``, every forward, backward and update of it on the chip."""
        self.load(network)
        self.unit = OracleUnit(self.configuration, self.seed)
        work(self, self)
        for name, (va, vb) in self.unit.states.items():
            layer, place = network.layers[name], self.layers.places[name]
            for key, given, wanted in zip(KEYS, (*self.driver.read_adapter(place), *self.driver.read_states(place)),
                                          (layer.a, layer.b, va.numpy(), vb.numpy()), strict=True):
                self.compare(f"final {key} of {name}", given, wanted)
        rank = self.configuration.geometry.max_rank
        self.compare("random generators", self.driver.read_generators(rank)[None], self.unit.generators.numpy()[None])

    # Smaller things

    @property
    def rm_writes(self):
        """Programming pulses that the chip counted in everything but its programming."""
        return sum(counts["pulses"] for part, counts in self.counts.items() if part != "programming")

    def judge(self):
        """What else must hold: no rule of the board broken, pulses counted in programming, and only there."""
        count, texts = violations(self.lane.library)
        if count:
            self.troubles.append(f"{count} data-sheet rules of the board were broken, the first: {texts[0]}")
        if self.rm_writes:
            self.troubles.append(f"the chip made {self.rm_writes} programming pulses after programming, not 0")
        if not self.counts["programming"]["pulses"]:
            self.troubles.append("the chip must have counted pulses when it programmed, not 0")

    def compare(self, name, given, wanted, clocks=None):
        """Count ``given`` codes, and say what differs."""
        _, first = first_difference(name, given, wanted, clocks)
        part = name.split(" of ")[0]
        self.compared[part] = self.compared.get(part, 0) + int(np.size(given))
        if first:
            self.troubles.append(first)

    def count(self, part, work, *given):
        """``work(*given)``; what the chip counted meanwhile is kept under ``part``."""
        before, clocks = self.driver.counters(), self.lane.cycles
        result = work(*given)
        after = self.driver.counters()
        self.counts[part] = {name: after[name] - before[name] for name in after} | {
            "simulated": self.lane.cycles - clocks}
        return result


def mask_of(lanes):
    """A mask bool (r,) as the bits of an integer."""
    return sum(1 << lane for lane in np.flatnonzero(lanes).tolist())
