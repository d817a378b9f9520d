"""Reads of whole layers: how many conversions, frames and tile reads one takes, and when its conversions start.

A *slice* is what the rows' voltages stand for: the inputs of one vector and one row tile; of a streamed read the full
amplitude, one slice for the whole command. The times hold where a conversion is long enough to hide the switches and
the lines behind it, as with the default board, and where neither `x` nor `c` stalls:

* a slice's frames follow one another, and its TRIGGER follows when they are sent and the conversions before it hold;
* its first conversion starts when that has settled, and the stages behind it, but not before the one before has ended;
* all others of the slice follow without a gap.
"""

import dataclasses

from .geometry import ceil_div

__all__ = ["ReadCount", "ReadSchedule", "count_read", "schedule_read"]

CHANNELS = 8        # of a DAC: frames that set the amplitude of a streamed read
FETCH = 3           # clocks until the first input is scaled, and its frame accepted
START = 2           # clocks on top of the settling times, until a conversion starts


@dataclasses.dataclass(frozen=True)
class ReadCount:
    """What the chip's counters of the same names add up to."""

    conversions: int
    frames: int
    tile_reads: int


@dataclasses.dataclass(frozen=True)
class ReadSchedule:
    """``starts``: clocks from the one that accepts the command to the CS fall of each conversion; ``ticks``: to the end
    of the last."""

    starts: tuple
    ticks: int


def positions_used(configuration, outputs):
    """ADC positions that are converted for ``outputs`` outputs of a tile."""
    board, columns = configuration.board, configuration.board.adcs(configuration.geometry.tile_columns)
    if configuration.crossbar.mapping == "differential":
        return ceil_div(2 * outputs, columns)
    return 1 + min(board.positions - 1, ceil_div(outputs, columns))     # the reference's comes first, whatever it holds


def slice_conversions(configuration, outputs):
    """Conversions of one row tile and vector: of all its column tiles and planes."""
    column_tiles, whole = configuration.column_tiles(outputs), configuration.tile_outputs
    last = outputs - (column_tiles - 1) * whole
    once = (column_tiles - 1) * positions_used(configuration, whole) + positions_used(configuration, last)
    return once * max(1, len(configuration.passes))


def count_read(configuration, vectors, inputs, outputs):
    """The `ReadCount` of a read of a layer of ``inputs`` x ``outputs`` for ``vectors`` vectors."""
    row_tiles = configuration.row_tiles(inputs)
    frames = CHANNELS + 1 if configuration.crossbar.streamed else vectors * (inputs + row_tiles)
    return ReadCount(vectors * row_tiles * slice_conversions(configuration, outputs), frames,
                     vectors * row_tiles * configuration.column_tiles(outputs))


def schedule_read(configuration, vectors, inputs, outputs):
    """The `ReadSchedule` of such a read, the first after start-up or any other."""
    board, tile_rows = configuration.board, configuration.geometry.tile_rows
    row_tiles, conversions = configuration.row_tiles(inputs), slice_conversions(configuration, outputs)
    if configuration.crossbar.streamed:
        slices = [(CHANNELS, vectors * row_tiles * conversions)]
    else:
        rows = [min(tile_rows, inputs - tile * tile_rows) for tile in range(row_tiles)]
        slices = [(count, conversions) for _ in range(vectors) for count in rows]
    settle = board.update_ticks + board.dac_settle_ticks + board.tia_settle_ticks + START
    # the clock in which the latest TRIGGER was accepted, as if there had been one before the first slice
    starts, sent = [], (0 if configuration.crossbar.streamed else FETCH) - board.frame_ticks
    for frames, count in slices:
        sent += (frames + 1) * board.frame_ticks
        if starts:
            sent = max(sent, starts[-1] + board.hold_ticks - board.update_ticks - 1)
        first = sent + settle
        if starts:
            first = max(first, starts[-1] + board.conversion_ticks)
        starts += [first + index * board.conversion_ticks for index in range(count)]
    return ReadSchedule(tuple(starts), starts[-1] + board.conversion_ticks)
