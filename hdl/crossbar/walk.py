"""The order in which a command's tiles are read."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Command", "Walk", "step_layout"]


class Command(data.Struct):
    """Read a whole layer for ``vectors`` vectors: ``inputs`` x ``outputs`` from array ``tile`` on. All at least 1.
    ``high``: in the high gain range."""

    vectors: unsigned(32)
    inputs: unsigned(16)
    outputs: unsigned(16)
    tile: unsigned(16)
    high: 1


def step_layout(configuration):
    """One tile read, or one pass of a streamed one: of ``array``, its first ``rows`` rows in use, ``high`` or low gain
    range; ``outputs`` results for outputs ``base`` on, of vector ``lane`` of its block. The flags: ``opens_slice`` new
    voltages before it, ``first_share`` the first share of these outputs, ``final`` their last of a block,
    ``opens_block`` the first read of a block, ``closes_tile`` the last pass of a tile.

    Streamed, also: pass number ``plane``, the rows' inputs are those from ``input`` on, and ``closes_block``, the last
    pass that needs a block's inputs."""
    geometry, lanes = configuration.geometry, configuration.lora
    streamed = {"plane": range(len(configuration.passes)), "input": 16, "closes_block": 1}
    return data.StructLayout({
        "array": 16, "rows": range(geometry.tile_rows + 1), "high": 1, "base": 16,
        "outputs": range(configuration.tile_outputs + 1), "lane": range(lanes.vectors),
        "opens_slice": 1, "first_share": 1, "final": 1, "opens_block": 1, "closes_tile": 1,
        **(streamed if configuration.crossbar.streamed else {})})


class Walk(wiring.Component):
    """Hands out the tile reads of a command: vectors outermost, then row tiles, column tiles, and the passes of a
    streamed read innermost.

    So the inputs of a row tile go to the DACs once for all its column tiles; streamed, the DACs are set once a command.
    Array (row tile, column tile) is ``tile + row_tile * column_tiles + column_tile``.

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
        passes = len(self._configuration.passes)
        plane = Signal(range(max(2, passes)))
        first_plane, last_plane = (plane == 0, plane == passes - 1) if passes else (1, 1)
        m.d.comb += [
            last_column.eq(outputs_left <= tile_outputs), last_row.eq(inputs_left <= tile_rows),
            last_vector.eq(vectors_left == 1), last_lane.eq(last_vector | (step.lane == vectors - 1)),
            self.steps.valid.eq(active),
            step.rows.eq(tile_rows), step.outputs.eq(tile_outputs),
            step.high.eq(command.high), step.closes_tile.eq(last_plane),
            step.opens_slice.eq(first_column), step.first_share.eq(first_row & first_plane),
            step.final.eq(last_row & last_lane & last_plane),
            step.opens_block.eq(first_column & first_row & first_plane & (step.lane == 0)),
        ]
        if passes:
            fresh, position = Signal(), Signal(16)      # nothing of the command was handed out yet; its first input
            m.d.comb += [step.opens_slice.eq(fresh), step.plane.eq(plane), step.input.eq(position),
                         step.closes_block.eq(step.final & last_column)]
            with m.If(self.steps.valid & self.steps.ready):
                m.d.sync += [fresh.eq(0), plane.eq(Mux(last_plane, 0, plane + 1))]
                with m.If(last_plane & last_column):
                    m.d.sync += position.eq(Mux(last_row, 0, position + tile_rows))
            with m.If(self.begin):
                m.d.sync += [fresh.eq(1), plane.eq(0), position.eq(0)]
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

        with m.If(self.steps.valid & self.steps.ready & last_plane):
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
