"""Operations as the host sees them: layers, shifts, and runs of operations with their operands and results."""

import dataclasses

import numpy as np
from rmdlora.golden.spec.formats import Shifts
from rmdlora.golden.spec.registers import Fault, Kind

from .beats import beat_type, pack_beats

__all__ = ["Layer", "OperationFault", "Run", "Shifts"]

PATIENCE = 20           # times the clocks an operation takes unhindered
GRACE = 1_000_000       # and these, for the host


class OperationFault(RuntimeError):
    """The chip refused an operation or ended it early; ``code`` is a code of `golden.spec.registers.Fault`."""

    def __init__(self, code):
        self.code = code
        name = Fault.NAMES[code] if code < len(Fault.NAMES) else str(code)
        super().__init__(f"the chip reports fault {name} ({code}) of an operation")


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer and where its things lie: ``adapter`` and ``calibration`` are row words, ``tile`` an array. ``high``: its
    tiles are read in the high gain range.

    ``active`` and ``trainable`` are masks, bit ``j`` for rank lane ``j``; None is every lane, and as ``active``.
    """

    inputs: int
    outputs: int
    rank: int
    adapter: int = 0
    calibration: int = 0
    tile: int = 0
    active: int | None = None
    trainable: int | None = None
    high: bool = False

    @property
    def masks(self):
        """``(active, trainable)`` with their defaults."""
        active = (1 << self.rank) - 1 if self.active is None else self.active
        return active, active if self.trainable is None else self.trainable

    @property
    def fields(self):
        """Fields of operations on it."""
        active, trainable = self.masks
        return {**dataclasses.asdict(self), "active": active, "trainable": trainable, "slots": 0,
                "high": int(self.high)}


class Run:
    """Operations of one layer gathered up, their operands and results with them, then run as one.

    Operands and results are handed to the transport before the first operation starts, so the chip never waits for
    Python longer than it takes to describe the next operation, and that is done while earlier ones run.
    """

    def __init__(self, driver, layer, shifts, crossbar=False, nearest=False):
        self.driver = driver
        self.layer = layer
        self.fixed = {**layer.fields, **dataclasses.asdict(shifts), "nearest": int(nearest)}
        self.crossbar = crossbar
        self.operations, self.limit = [], GRACE
        self.operands = {"x": [], "c": [], "g": []}
        self.cuts = {"y": [], "dx": []}

    def forward(self, x, c):
        """Gather a forward of ``x`` (n, k) with ``c`` (n, d), or with the crossbar's own."""
        n = len(x)
        self.take("x", x)
        if c is not None:
            self.take("c", c)
        self.cut("y", n, self.layer.outputs)
        self.add(Kind.FORWARD, n, self.pipeline.forward)

    def backward(self, x, g):
        """Gather a backward of ``x`` (n, k) and ``g`` (n, d)."""
        self.take("x", x)
        self.take("g", g)
        self.cut("dx", len(x), self.layer.inputs)
        self.add(Kind.BACKWARD, len(x), self.pipeline.backward)

    def update(self):
        """Gather an update."""
        self.add(Kind.UPDATE, 1, lambda vectors, *sizes: self.pipeline.update(*sizes))

    @property
    def pipeline(self):
        """Cycle counts of the configuration."""
        return self.driver.configuration.pipeline

    def cut(self, stream, vectors, positions):
        """Note which vectors and positions the operation's results are."""
        begin = sum(len(which) for which, _ in self.cuts[stream])
        self.cuts[stream].append((range(begin, begin + vectors), range(positions)))

    def take(self, stream, codes):
        """Add operands of an operation."""
        driver = self.driver
        self.operands[stream].append(pack_beats(codes, driver.lanes, beat_type(driver.configuration, stream)))

    def add(self, kind, vectors, cycles):
        """Add an operation, and the clocks it may take."""
        layer = self.layer
        crossbar = int(self.crossbar and kind == Kind.FORWARD)
        self.operations.append({**self.fixed, "kind": kind, "vectors": vectors, "crossbar": crossbar})
        self.limit += PATIENCE * cycles(vectors, layer.inputs, layer.outputs, layer.rank)
        if crossbar:
            configuration = self.driver.configuration
            tiles = configuration.row_tiles(layer.inputs) * configuration.column_tiles(layer.outputs)
            board, rows = configuration.board, configuration.geometry.tile_rows
            self.limit += PATIENCE * vectors * tiles * max(1, len(configuration.passes)) * (
                board.positions * board.conversion_ticks + (rows + 1) * board.frame_ticks)

    def finish(self):
        """Run it all; return the results, (n, positions) each. Raises `OperationFault`."""
        driver, transport = self.driver, self.driver.transport
        for stream, beats in self.operands.items():
            if beats:
                transport.send(stream, np.concatenate(beats))
        for stream, cuts in self.cuts.items():
            if cuts:
                transport.expect(stream, sum(driver.lanes.blocks(len(vectors)) * driver.lanes.groups(len(positions))
                                             for vectors, positions in cuts))
        try:
            for operation in self.operations:
                driver.start(operation, self.limit)
            while driver.started != driver.ended:       # first: what ends early would leave its beats waited for
                driver.wait_for_end(self.limit)
            driver.moved = transport.run_until_idle(self.limit)
        except OperationFault:
            raise
        except RuntimeError:
            driver.raise_fault()    # the better reason, where there is one
            raise
        driver.cuts, driver.left = self.cuts, {}
        return {stream: driver.join(stream, np.asarray(driver.moved[stream].beats))
                for stream, cuts in self.cuts.items() if cuts}
