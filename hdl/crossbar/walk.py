"""The order in which a command's tiles are read."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Command", "Walk", "step_layout"]


class Command(data.Struct):
    """Read a whole layer for ``vectors`` vectors: ``inputs`` x ``outputs`` from array ``tile`` on. All at least 1."""

    vectors: unsigned(32)
    inputs: unsigned(16)
    outputs: unsigned(16)
    tile: unsigned(16)


def step_layout(configuration):
    """One tile read: of ``array``, its first ``rows`` rows in use; ``outputs`` results for outputs ``base`` on, of
    vector ``lane`` of its block. The flags: ``opens_slice`` the first read of these inputs, ``first_row`` the first
    row tile, ``final`` the last share of these outputs of a block, ``opens_block`` the first read of a block."""
    geometry, lanes = configuration.geometry, configuration.lora
    return data.StructLayout({
        "array": 16, "rows": range(geometry.tile_rows + 1), "base": 16,
        "outputs": range(configuration.tile_outputs + 1), "lane": range(lanes.vectors),
        "opens_slice": 1, "first_row": 1, "final": 1, "opens_block": 1})


class Walk(wiring.Component):
    """Hands out the tile reads of a command: vectors outermost, then row tiles, column tiles innermost.

    So the inputs of a row tile go to the DACs once for all its column tiles. Array (row tile, column tile) is
    ``tile + row_tile * column_tiles + column_tile``.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    begin : In(1)
        Start over with ``command``, which must be stable until the last read is handed out.
    command : In(`Command`)
    steps : Out(stream of `step_layout`)
    """

    def __init__(self, configuration):
        self._configuration = configuration
        super().__init__({"begin": In(1), "command": In(Command),
                          "steps": Out(stream.Signature(step_layout(configuration)))})

    def elaborate(self, platform):
        m = Module()
        tile_rows, tile_outputs = self._configuration.geometry.tile_rows, self._configuration.tile_outputs
        vectors = self._configuration.lora.vectors
        command, step = self.command, self.steps.payload
        active = Signal()
        # what is left, the present one included
        vectors_left, inputs_left, outputs_left = Signal(32), Signal(16), Signal(16)
        last_column, last_row, last_vector, last_lane = Signal(), Signal(), Signal(), Signal()
        first_column, first_row = Signal(), Signal()
        m.d.comb += [
            last_column.eq(outputs_left <= tile_outputs), last_row.eq(inputs_left <= tile_rows),
            last_vector.eq(vectors_left == 1), last_lane.eq(last_vector | (step.lane == vectors - 1)),
            self.steps.valid.eq(active),
            step.rows.eq(tile_rows), step.outputs.eq(tile_outputs),
            step.opens_slice.eq(first_column), step.first_row.eq(first_row), step.final.eq(last_row & last_lane),
            step.opens_block.eq(first_column & first_row & (step.lane == 0)),
        ]
        with m.If(last_row):
            m.d.comb += step.rows.eq(inputs_left)
        with m.If(last_column):
            m.d.comb += step.outputs.eq(outputs_left)

        array, base, lane = Signal(16), Signal(16), Signal(range(vectors))
        m.d.comb += [step.array.eq(array), step.base.eq(base), step.lane.eq(lane)]

        def first_tile_column():
            return [outputs_left.eq(command.outputs), base.eq(0), first_column.eq(1)]

        def first_tile():
            return [*first_tile_column(), inputs_left.eq(command.inputs), array.eq(command.tile), first_row.eq(1)]

        with m.If(self.steps.valid & self.steps.ready):
            m.d.sync += [outputs_left.eq(outputs_left - tile_outputs), base.eq(base + tile_outputs),
                         first_column.eq(0), array.eq(array + 1)]
            with m.If(last_column):
                m.d.sync += [*first_tile_column(), inputs_left.eq(inputs_left - tile_rows), first_row.eq(0)]
                with m.If(last_row):
                    m.d.sync += [*first_tile(), vectors_left.eq(vectors_left - 1), lane.eq(lane + 1)]
                    with m.If(last_lane):
                        m.d.sync += lane.eq(0)
                    with m.If(last_vector):
                        m.d.sync += active.eq(0)
        with m.If(self.begin):
            m.d.sync += [*first_tile(), vectors_left.eq(command.vectors), lane.eq(0), active.eq(1)]
        return m
