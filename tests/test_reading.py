# amaranth: UnusedElaboratable=no
"""Counts and start times of a read, as specified, against the sequencer at the pins."""

import dataclasses

import numpy as np
import pytest
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.reading import count_read, schedule_read
from test_crossbar import QUICK, Bench, draw_layer, small, to_beats
from test_streaming import streamed

BOARD = dataclasses.replace(QUICK, adc_half_ticks=10)      # a conversion hides everything but the frames
COUNTS = ("conversions", "frames", "tile_reads")


@pytest.mark.parametrize("configuration, inputs, outputs, vectors", [
    (small(board=BOARD), 8, 1, 3),                              # bound by the frames
    (small(board=BOARD, mapping="reference"), 11, 3, 2),
    (small(board=BOARD), 9, 5, 2),                              # by the conversions
    (streamed("twos", 2, board=BOARD, mapping="reference"), 9, 5, 1),
], ids=["frames", "reference", "conversions", "streamed"])
def test_a_read_takes_the_conversions_frames_and_clocks_the_specification_says(configuration, inputs, outputs, vectors):
    draw = np.random.default_rng(inputs)
    conductances, _, x = draw_layer(configuration, draw, inputs, outputs, vectors)
    x &= 1
    bench = Bench(configuration, conductances, limit=100_000)
    bench.to_send = to_beats(x, configuration.lora, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        before = [ctx.get(getattr(bench.dut, name)) for name in COUNTS]
        bench.accepted = await bench.command(ctx, inputs, outputs, vectors)
        await ctx.tick().until(~bench.dut.busy)
        bench.counts = [ctx.get(getattr(bench.dut, name)) - count for name, count in zip(COUNTS, before, strict=True)]

    assert not bench.run(body)
    assert bench.counts == list(dataclasses.astuple(count_read(configuration, vectors, inputs, outputs)))
    starts = [start - bench.accepted for start in bench.board.conversions]
    assert starts == list(schedule_read(configuration, vectors, inputs, outputs).starts)


def test_the_default_board_reads_n_full_tiles_in_4667_ticks_and_8064_each_or_8_times_as_many_plane_by_plane():
    configuration = load_configuration("default")
    planes = dataclasses.replace(
        configuration, crossbar=dataclasses.replace(configuration.crossbar, reading="streamed"))
    for reads in (1, 16):
        assert schedule_read(configuration, reads, 32, 16).ticks == 4667 + 8064 * reads
        assert schedule_read(planes, reads, 32, 16).ticks == 2144 + 8 * 8064 * reads
    assert schedule_read(configuration, 5, 32, 4).ticks == 4667 + 4 * 33 * 105 + 2016, "four pairs: the frames bound it"
