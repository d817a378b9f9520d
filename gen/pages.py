"""Layers larger than the buffer, at the host: where they lie, and operations on them in turns (`golden.spec.pages`)."""

import dataclasses

import numpy as np
from rmdlora.golden.spec.pages import Region, plan_backward, plan_forward, plan_update
from rmdlora.golden.spec.registers import Kind

from .beats import adapter_elements, beat_type
from .operations import PATIENCE, Layer, Run

__all__ = ["NOTHING", "PagedLayer", "PagedRun", "run_training"]

NOTHING = {"region": Region.WHOLE, "opens": 0, "closes": 0,
           **{f"{way}_{part}": 0 for way in ("leaves", "enters") for part in ("words", "weights", "states")}}


@dataclasses.dataclass(frozen=True, eq=False)
class PagedLayer(Layer):
    """A layer that is larger than the buffer: ``a``, ``b``, ``va``, ``vb`` lie with the host, int64, and operations
    bring them up to date. ``adapter`` means nothing."""

    a: np.ndarray = None
    b: np.ndarray = None
    va: np.ndarray = None
    vb: np.ndarray = None

    def place(self, stretch):
        """``(weights, states)`` of a `Stretch`, (rank, positions) each; to be written to, too."""
        part = slice(stretch.start, stretch.stop)
        if stretch.region == Region.A:
            return self.a[:, part], self.va[:, part]
        return self.b[part].T, self.vb[part].T


class PagedRun(Run):
    """Turns of one layer gathered up with their operands and row words, then run as one."""

    def __init__(self, driver, layer, shifts, nearest=False):
        plain = Layer(layer.inputs, layer.outputs, layer.rank, 0, layer.calibration, layer.tile, layer.active,
                      layer.trainable)
        super().__init__(driver, plain, shifts, nearest=nearest)
        self.host = layer
        self.operands["load"], self.left = [], []
        self.kind = beat_type(driver.configuration, "load")

    @property
    def sizes(self):
        """What the plans of turns ask for behind the vectors."""
        return self.layer.inputs, self.layer.outputs, self.layer.rank, self.driver.configuration.page_words

    def forward(self, x, c):
        """Gather a forward of ``x`` (n, k) with ``c`` (n, d)."""
        for turn in plan_forward(self.driver.lanes, len(x), *self.sizes):
            self.add_turn(turn, {"x": x}, {"c": c}, "y")

    def backward(self, x, g):
        """Gather a backward of ``x`` (n, k) and ``g`` (n, d)."""
        for turn in plan_backward(self.driver.lanes, len(x), *self.sizes):
            self.add_turn(turn, {"x": x}, {"g": g}, "dx")

    def update(self):
        """Gather an update."""
        for turn in plan_update(self.driver.lanes, *self.sizes):
            self.add_turn(turn, {}, {}, None)

    def add_turn(self, turn, of_a, of_b, result):
        """Gather a turn: operands of its stretch of A or of B, by stream, the ``result``'s, and what is exchanged."""
        configuration, lanes, stretch = self.driver.configuration, self.driver.lanes, turn.stretch
        operation = {**self.fixed, **NOTHING, "kind": turn.kind, "vectors": len(turn.vectors), "crossbar": 0,
                     "adapter": turn.page * configuration.page_words, "region": Region.NONE}
        if stretch:
            vectors, positions = slice(turn.vectors.start, turn.vectors.stop), range(stretch.start, stretch.stop)
            in_a = stretch.region == Region.A
            operation |= {"region": stretch.region, "opens": int(turn.opens), "closes": int(turn.closes),
                          "inputs" if in_a else "outputs": len(stretch)}
            if not in_a:
                operation["calibration"] += stretch.start // lanes.rows
            for stream, codes in (of_a if in_a else of_b).items():
                self.take(stream, codes[vectors, positions.start:positions.stop])
            if result and in_a == (turn.kind == Kind.BACKWARD):
                self.cuts[result].append((turn.vectors, positions))
        if exchange := turn.exchange:
            for way in ("leaves", "enters"):
                part = getattr(exchange, way)
                operation |= {f"{way}_words": part.words if part else 0,
                              **{f"{way}_{what}": int(getattr(exchange, f"{way}_{what}"))
                                 for what in ("weights", "states")}}
            if exchange.enters:
                chosen = zip(self.host.place(exchange.enters), (exchange.enters_weights, exchange.enters_states),
                             strict=True)
                self.operands["load"].append(self.pack(exchange.enters, [codes for codes, on in chosen if on]))
            if exchange.leaves:
                self.left.append(exchange)
        self.operations.append(operation)
        self.limit += PATIENCE * self.pipeline.turn(turn, self.layer.rank)

    def places(self, stretch):
        """Where a stretch's elements lie among those of its row words: (rank, positions)."""
        return adapter_elements(self.driver.lanes.layout(len(stretch), 1, self.layer.rank))[0]

    def pack(self, stretch, matrices):
        """Beats of a stretch's row words, of each all ``matrices`` (rank, positions)."""
        lanes = self.driver.lanes
        beats = np.zeros((stretch.words, len(matrices), lanes.row_beats * lanes.beat_elements), self.kind)
        for index, codes in enumerate(matrices):
            row_words = np.zeros(stretch.words * lanes.row_elements, self.kind)
            row_words[self.places(stretch)] = codes
            beats[:, index, :lanes.row_elements] = row_words.reshape(stretch.words, -1)
        return beats.reshape(-1, lanes.beat_elements)

    def unpack(self, beats):
        """Bring the host's codes up to date by the ``beats`` of all that has left."""
        lanes = self.driver.lanes
        for exchange in self.left:
            stretch, ways = exchange.leaves, (exchange.leaves_weights, exchange.leaves_states)
            count = stretch.words * sum(ways) * lanes.row_beats
            part, beats = beats[:count], beats[count:]
            row_words = part.reshape(stretch.words, sum(ways), -1)[..., :lanes.row_elements]
            matrices = (codes for codes, on in zip(self.host.place(stretch), ways, strict=True) if on)
            for index, codes in enumerate(matrices):
                codes[:] = row_words[:, index].ravel()[self.places(stretch)]

    def finish(self):
        """Run it all, and bring the host's codes up to date; return the results. Raises `OperationFault`."""
        lanes = self.driver.lanes
        if self.left:
            self.driver.transport.expect("store", sum(
                exchange.leaves.words * (exchange.leaves_weights + exchange.leaves_states) * lanes.row_beats
                for exchange in self.left))
        results = super().finish()
        if self.left:
            self.unpack(np.asarray(self.driver.moved["store"].beats))
        return results


def run_training(driver, layer, x, g, c, batch, shifts, nearest):
    """``({"y", "dx"}, {their clocks})`` of a training run in turns; codes go out and come in between operations."""
    results, clocks = {"y": [], "dx": []}, {"y": [], "dx": []}
    for chunk, ends_batch in driver.configuration.pipeline.chunks(len(x), batch):
        part = slice(chunk.start, chunk.stop)
        for stream, operands in (("y", (x[part], c[part])), ("dx", (x[part], g[part]))):
            run = PagedRun(driver, layer, shifts)
            (run.forward if stream == "y" else run.backward)(*operands)
            results[stream].append(run.finish()[stream])
            clocks[stream].append(driver.clocks(stream))
        if ends_batch:
            run = PagedRun(driver, layer, shifts, nearest)
            run.update()
            run.finish()
    return tuple({stream: np.concatenate(parts) for stream, parts in found.items()} for found in (results, clocks))
