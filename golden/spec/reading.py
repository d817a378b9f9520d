"""Reads of whole layers: how many conversions, frames and tile reads one takes, when its conversions start, and what a
forward takes whose `c` comes from one.

A *slice* is what the rows' voltages stand for: the inputs of one vector and one row tile; of a streamed read the full
amplitude, one slice for the whole command. The times hold where a conversion is long enough to hide the switches and
the lines behind it, as with the default board, and where neither `x` nor `c` stalls:

* a slice's frames follow one another, and its TRIGGER follows when they are sent and the conversions before it hold;
  the first one's also waits for the pattern of the lines, if that moves;
* its first conversion starts when that has settled, and the stages behind it, but not before the one before has ended;
* all others of the slice follow without a gap.
"""

import dataclasses

from .geometry import ceil_div
from .timing import HAND_OVER

__all__ = ["ReadCount", "ReadSchedule", "count_forward", "count_read", "schedule_read"]

CHANNELS = 8        # of a DAC: frames that set the amplitude of a streamed read
FETCH = 3           # clocks until the first input is scaled, and its frame accepted
START = 2           # clocks on top of the settling times, until a conversion starts
STAGE = 3           # clocks on top of shifting, until a pattern waits in the chains
TAKE = 4            # from the DCLOCK rise that brings an ADC's last zero: two to synchronise it, then it is taken
FINAL_RISE = 22     # ... which is this one
LOOK_UP = 2         # clocks an output, to add to its sum; and to fetch it again for its beat
PLAN = 3            # clocks, and one a rank group, by which the sequencer is ahead of the unit in taking an operation


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


def schedule_read(configuration, vectors, inputs, outputs, shifted=None):
    """The `ReadSchedule` of such a read.

    ``shifted``: bits of the longest chain that must take another pattern first. None: the word lines', as after
    start-up, after programming, and where the read before ended with another tile, or with other rows of it; a tile's
    columns, where only the gain range is another; 0, where all lines are as they were.
    """
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
        elif shifted != 0:
            sent = max(sent, pattern_ticks(configuration, shifted))
        first = sent + settle
        if starts:
            first = max(first, starts[-1] + board.conversion_ticks)
        starts += [first + index * board.conversion_ticks for index in range(count)]
    return ReadSchedule(tuple(starts), starts[-1] + board.conversion_ticks)


def pattern_ticks(configuration, bits):
    """Clocks until a command's first pattern of ``bits`` bits (None: the word lines') waits in the chains."""
    board = configuration.board
    bits = bits or configuration.geometry.tile_rows + board.array_bits
    return 2 * bits * board.shift_half_ticks + max(1, board.latch_ticks - board.shift_half_ticks) + STAGE


def last_outputs(configuration, outputs):
    """``(taken, most)``: how many of a tile's ``outputs`` outputs its last conversion gives, of how many it could."""
    board, columns = configuration.board, configuration.board.adcs(configuration.geometry.tile_columns)
    if configuration.crossbar.mapping == "differential":
        a_position, most = columns // 2, board.positions
    else:
        a_position, most = columns, board.positions - 1     # the last position came first
    return min(a_position, outputs - min(most - 1, (outputs - 1) // a_position) * a_position), a_position


def count_forward(configuration, vectors, inputs, outputs, rank, shifted=None):
    """CYCLES_FORWARD of a forward whose `c` comes from the crossbar, under the conditions above and where `y` does not
    stall; ``shifted``: as of `schedule_read`.

    All of the read but what the unit takes to accept the operation; then the last conversion's codes are added up, and
    the outputs of the last column tile go, a beat at a time, to the slots that wait for them. A column tile's sums
    are complete all at once; what the unit does for the rest is hidden behind the conversions.
    """
    board, lanes, pipeline = configuration.board, configuration.lora, configuration.pipeline
    converted = schedule_read(configuration, vectors, inputs, outputs, shifted).starts[-1]
    clock = converted + (2 * FINAL_RISE - 1) * board.adc_half_ticks + TAKE
    base = (configuration.column_tiles(outputs) - 1) * configuration.tile_outputs
    adding, most = last_outputs(configuration, outputs - base)
    clock += LOOK_UP * adding + (adding < most) + 1
    in_block = vectors - (lanes.blocks(vectors) - 1) * lanes.vectors
    groups, issued = lanes.rank_groups(rank), 0
    for group in range(base // lanes.rows, lanes.groups(outputs)):
        begun = max(0, base - group * lanes.rows)       # elements that another column tile gave
        wanted = min(lanes.rows, outputs - group * lanes.rows) * in_block - begun
        clock += LOOK_UP * wanted + lanes.beat_elements - begun - wanted
        issued = max(clock, issued + groups)
        clock = issued + 1
    return clock + pipeline.row_result + HAND_OVER - PLAN - groups
