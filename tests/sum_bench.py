"""Sums of adapters for the LoRA bench: one adapter of all their lanes for the contract, several in the buffer."""

from lora_bench import Case
from rmdlora.golden.spec.registers import SUMMED, Kind
from rmdlora.hdl.buffer import Space

__all__ = ["SumCase"]


class SumCase(Case):
    """Adapters of ``ranks`` from row words ``bases`` on, drawn at random; to the contract, one with padding between."""

    def __init__(self, configuration, rng, ranks, sizes=None):
        lanes = configuration.lora
        *self.offsets, width = lanes.offsets(ranks)
        n, k, d = sizes or (rng.randint(1, 4), rng.randint(1, 9), rng.randint(1, 9))
        super().__init__(configuration, rng, (n, k, d, width))
        self.ranks = ranks
        words = [lanes.layout(k, d, rank).words for rank in ranks]
        self.bases, end = [0] * len(ranks), 0
        for index in rng.sample(range(len(ranks)), len(ranks)):      # in any order, with gaps
            self.bases[index] = end + rng.randint(0, 3)
            end = self.bases[index] + words[index]
        real = {offset + lane for offset, rank in zip(self.offsets, ranks, strict=True) for lane in range(rank)}
        self.active = [on and lane in real for lane, on in enumerate(self.active)]
        self.trainable = [on and lane in real for lane, on in enumerate(self.trainable)]

    def operation(self, kind):
        """The fields of the operation, its slots looked up."""
        parts = [{"adapter": base, "rank": rank} for base, rank in zip(self.bases, self.ranks, strict=True)]
        none = [{"adapter": 0, "rank": 0}] * SUMMED
        return {**super().operation(kind), **parts[0], "slots": len(parts), "more": [*parts[1:], *none][:SUMMED - 1]}

    def places(self):
        """As `Case.places`: every adapter where its own layout says."""
        for base, rank, offset in zip(self.bases, self.ranks, self.offsets, strict=True):
            layout = self.configuration.lora.layout(self.k, self.d, rank, base)
            for j in range(rank):
                lane = offset + j
                for i in range(self.k):
                    yield Space.WEIGHTS, layout.a_element(j, i), self.a[lane][i]
                    yield Space.STATES, layout.a_element(j, i), self.va[lane][i]
                for o in range(self.d):
                    yield Space.WEIGHTS, layout.b_element(o, j), self.b[o][lane]
                    yield Space.STATES, layout.b_element(o, j), self.vb[o][lane]
        first = self.calibration * self.configuration.lora.rows
        for o in range(self.d):
            yield Space.GAIN, first + o, self.gain[o]
            yield Space.OFFSET, first + o, self.offset[o]

    def cycles(self, kind):
        """What an operation takes."""
        pipeline, sizes = self.configuration.pipeline, (self.k, self.d)
        if kind == Kind.FORWARD:
            return pipeline.forward(self.n, *sizes, self.r)
        if kind == Kind.BACKWARD:
            return pipeline.sum_backward(self.n, *sizes, self.ranks, self.bases)
        return pipeline.sum_update(*sizes, self.ranks, self.bases)
