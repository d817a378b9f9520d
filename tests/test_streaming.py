# amaranth: UnusedElaboratable=no
"""Weighted-bit streaming: its planes, the sequencer at the pins of a board, and what a configuration may ask for."""

import dataclasses

import numpy as np
import pytest
from amaranth.back import verilog
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import Configuration, load_configuration
from rmdlora.golden.spec.crossbar import Crossbar as CrossbarSpecification
from rmdlora.golden.spec.crossbar import Plane
from rmdlora.golden.spec.formats import Formats
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.hdl.crossbar import Crossbar
from test_crossbar import QUICK, Bench, draw_layer, from_beats, small, to_beats

SCHEMES = [("twos", 0, "high"), ("twos", 0, "low"), ("magnitude", 0, "high"), ("none", 7, "low"), ("twos", 3, "high"),
           ("magnitude", 2, "low"), ("none", 1, "high"), ("twos", 1, "high")]


def streamed(sign="twos", planes=0, order="high", **other):
    """A configuration of small tiles where a plane's code is the sum itself: amplitude 128, num / 2**shift = 1/128."""
    return small(**{"num": 1, "shift": 7, "reading": "streamed", "planes": planes, "plane_sign": sign,
                    "plane_order": order} | other)


def draw_inputs(configuration, draw, vectors, inputs):
    """Activation codes that the planes can present, the ends among them."""
    low, high = configuration.crossbar.range_of(configuration.formats.activation)
    x = draw.integers(low, high + 1, (vectors, inputs))
    x.flat[:2] = low, high
    return x


@pytest.mark.parametrize("sign, planes, order", SCHEMES)
def test_the_weighted_planes_of_every_code_that_can_be_read_add_up_to_it(sign, planes, order):
    for bits in (4, 8, 16):
        if planes >= bits:
            continue
        crossbar = CrossbarSpecification(reading="streamed", planes=planes, plane_sign=sign, plane_order=order)
        low, high = crossbar.range_of(bits)
        codes = np.arange(low, high + 1)
        passes = crossbar.passes(bits)
        assert np.array_equal(sum(plane.weight * plane.of(codes) for plane in passes), codes)
        assert [sum(plane.weight * plane.of(code) for plane in passes) for code in (low, high)] == [low, high]
        places = [plane.bit for plane in passes]
        assert places == sorted(places, reverse=order == "high")


def test_the_contracts_planes_are_twos_complement_most_significant_first_the_sign_plane_subtracted():
    assert CrossbarSpecification(reading="streamed").passes(4) == (Plane(3, True), Plane(2), Plane(1), Plane(0))
    assert CrossbarSpecification().passes(8) == ()


@pytest.mark.parametrize("sign, planes, order", SCHEMES)
@pytest.mark.parametrize("mapping", ["differential", "reference"])
def test_the_oracles_streamed_read_is_the_integer_product_where_nothing_rounds(sign, planes, order, mapping):
    configuration = streamed(sign, planes, order, mapping=mapping)
    draw = np.random.default_rng(3)
    conductances, weights, _ = draw_layer(configuration, draw, 20, 6, 1)
    x = draw_inputs(configuration, draw, 5, 20)
    assert np.array_equal(read_layer(conductances, x, 6, configuration), x @ weights.T)


@pytest.mark.parametrize("sign, planes, order, mapping, sizes", [
    ("twos", 0, "high", "differential", (8, 4, 1, 0)),      # one full tile
    ("twos", 3, "low", "reference", (17, 6, 1, 1)),         # several tiles both ways, remainders both ways
    ("magnitude", 2, "high", "differential", (11, 5, 1, 2)),
    ("none", 2, "low", "reference", (1, 1, 2, 5)),          # one cell
])
def test_a_streamed_layer_at_the_pins_is_the_integer_product(sign, planes, order, mapping, sizes):
    inputs, outputs, vectors, tile = sizes
    configuration = streamed(sign, planes, order, mapping=mapping)
    bench, expected, received = read_streamed(configuration, inputs, outputs, vectors, tile)
    np.testing.assert_array_equal(received, expected)
    passes, tiles = len(configuration.passes), configuration.row_tiles(inputs) * configuration.column_tiles(outputs)
    assert bench.counts["tile_reads"] == vectors * tiles
    assert bench.counts["frames"] - (2 * 4 + 18) == 8 + 1, "the amplitude, once a command"
    assert len(bench.board.conversions) == bench.counts["conversions"]
    assert bench.counts["conversions"] % (passes * vectors) == 0


def read_streamed(configuration, inputs, outputs, vectors, tile=0, **bench):
    """Read one layer at random; the bench, the `c` expected and the one received."""
    draw = np.random.default_rng(inputs)
    conductances, weights, _ = draw_layer(configuration, draw, inputs, outputs, vectors, tile)
    x = draw_inputs(configuration, draw, vectors, inputs)
    bench = Bench(configuration, conductances, limit=200_000, **bench)
    bench.to_send = to_beats(x, configuration.lora, draw)

    async def body(ctx):
        await bench.wait_ready(ctx)
        bench.accepted = await bench.command(ctx, inputs, outputs, vectors, tile)
        await ctx.tick().until(~bench.dut.busy)
        bench.counts = {name: ctx.get(getattr(bench.dut, name)) for name in ("conversions", "tile_reads", "frames")}

    assert not bench.run(body)
    assert not bench.to_send and not bench.faults
    received, padding = from_beats(bench.received, configuration.lora, vectors, outputs)
    assert not padding.any()
    return bench, x @ weights.T, received


def test_planes_follow_each_other_without_a_gap_where_the_conversion_is_long_enough():
    board = dataclasses.replace(QUICK, adc_half_ticks=12)
    configuration = streamed("twos", 2, board=board)
    bench, expected, received = read_streamed(configuration, 11, 5, 1)
    np.testing.assert_array_equal(received, expected)
    starts = bench.board.conversions
    assert np.diff(starts).tolist() == [board.conversion_ticks] * (len(starts) - 1)
    fill = 8 * board.frame_ticks + board.update_ticks + board.dac_settle_ticks + board.tia_settle_ticks
    assert fill <= starts[0] - bench.accepted <= fill + 5


def test_a_streamed_command_abandoned_at_any_moment_leaves_the_next_one_whole():
    configuration, draw = streamed("twos", 2), np.random.default_rng(8)
    conductances, weights, _ = draw_layer(configuration, draw, 11, 5, 2)
    x = draw_inputs(configuration, draw, 2, 11)
    bench = Bench(configuration, conductances, limit=60_000)
    dut = bench.dut

    async def body(ctx):
        await bench.wait_ready(ctx)
        for _ in range(6):
            bench.to_send = to_beats(x, configuration.lora, draw)
            await bench.command(ctx, 11, 5, 2, high=int(draw.integers(2)))
            await ctx.tick().repeat(int(draw.integers(1, 2000)))
            ctx.set(dut.abandon, 1)
            await ctx.tick()
            ctx.set(dut.abandon, 0)
            await ctx.tick().until(~dut.busy)
            bench.to_send.clear()
            await ctx.tick()
            bench.received.clear()
        bench.to_send = to_beats(x, configuration.lora, draw)
        await bench.command(ctx, 11, 5, 2)
        await ctx.tick().until(~dut.busy)

    assert not bench.run(body)
    np.testing.assert_array_equal(from_beats(bench.received, configuration.lora, 2, 5)[0], x @ weights.T)


@pytest.mark.parametrize("configuration", [
    small(verify_num=3, verify_shift=0), streamed("twos", 2, verify_num=3, verify_shift=7),
], ids=["voltage", "streamed"])
def test_a_layer_is_read_in_the_gain_range_its_command_names(configuration):
    draw = np.random.default_rng(4)
    conductances, weights, _ = draw_layer(configuration, draw, 9, 4, 1)
    x = draw.integers(-2, 2, (1, 9))
    bench = Bench(configuration, conductances, limit=100_000)
    lanes, seen = configuration.lora, []
    bench.to_send = to_beats(x, lanes, draw) * 4

    async def body(ctx):
        await bench.wait_ready(ctx)
        for high in (0, 1, 1, 0):
            await bench.command(ctx, 9, 4, 1, high=high)
            await ctx.tick().until(~bench.dut.busy)
            seen.append(bench.board.high)

    assert not bench.run(body)
    assert seen == [0, 8, 8, 0]
    cut = lanes.groups(4)
    for index, factor in enumerate((1, 3, 3, 1)):
        received = from_beats(bench.received[index * cut:][:cut], lanes, 1, 4)[0]
        np.testing.assert_array_equal(received, factor * x @ weights.T)
    assert len([line for _, line in bench.board.line_changes if line == "sl"]) == 2


def test_the_streaming_sequencer_converts_to_verilog():
    configuration = load_configuration("default")
    configuration = dataclasses.replace(
        configuration, crossbar=dataclasses.replace(configuration.crossbar, reading="streamed"))
    text = verilog.convert(Crossbar(configuration), name="crossbar", emit_src=False, strip_internal_attrs=True)
    assert "module crossbar(" in text


@pytest.mark.parametrize("keys, formats, words", [
    ({"reading": "bits"}, {}, r"crossbar\.reading must be one of voltage, streamed, not 'bits'"),
    ({"plane_sign": "ones"}, {}, r"crossbar\.plane_sign must be one of twos, magnitude, none, not 'ones'"),
    ({"planes": 4}, {}, r"crossbar\.planes must be 0 where crossbar\.reading is 'voltage', not 4"),
    ({"plane_sign": "none"}, {}, r"crossbar\.plane_sign must be 'twos' where crossbar\.reading is 'voltage'"),
    ({"reading": "streamed", "planes": 9}, {}, r"crossbar\.planes must be 0\.\.8 for activations of 8 bits"),
    ({"reading": "streamed", "plane_sign": "none"}, {}, r"crossbar\.planes must be 1\.\.7 for .* = 'none', not 0"),
    ({"reading": "streamed", "planes": 17}, {"activation": 16}, r"crossbar\.planes must be an integer of 0\.\.16"),
    ({"reading": "streamed"}, {"activation": 12}, r"formats\.sum must be at least 34, .* 12 planes, not 32"),
    ({"reading": "streamed", "plane_sign": "magnitude"}, {"activation": 10}, r"formats\.sum must be at least 33"),
])
def test_a_configuration_that_cannot_be_streamed_is_refused(keys, formats, words):
    with pytest.raises(RefusedValue, match=words):
        Configuration(crossbar=CrossbarSpecification(**keys), formats=Formats(**formats))


def test_activations_the_planes_cannot_hold_are_refused():
    configuration = streamed("magnitude", 3)
    with pytest.raises(RefusedValue, match=r"x must be -7\.\.7 for a read in 6 planes \(magnitude\), not 8"):
        read_layer(np.zeros((1, 8, 8), int), np.full((1, 8), 8), 4, configuration)
