"""The array in numpy and in C++: exact where it is ideal, equal where it is noisy."""

import ctypes
import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from rmdlora.cosim.array import Array
from rmdlora.cosim.board import Board, sources, violations
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec import noise
from rmdlora.golden.spec.configuration import Configuration, load_configuration
from rmdlora.golden.spec.formats import requantise
from rmdlora.golden.spec.presets import PRESETS, Preset
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue

NOISY = dataclasses.replace(PRESETS["taox"], cycles=3)      # few cycles: what is tested is that all agree


def configured(mapping="differential", crossbar=None, device=None, **sections):
    """The tiny configuration with 40 arrays, and changes to it."""
    tiny = load_configuration("tiny")
    return dataclasses.replace(
        tiny, crossbar=dataclasses.replace(tiny.crossbar, mapping=mapping, arrays=40, **crossbar or {}),
        device=dataclasses.replace(tiny.device, **device or {}), **sections)


@pytest.mark.parametrize("mapping, share", [("differential", 2), ("reference", 1)])
@pytest.mark.parametrize("inputs, outputs", [(1, 1), (32, 16), (33, 15), (64, 31), (70, 40)])
def test_an_ideal_array_gives_the_exact_integer_product(mapping, share, inputs, outputs):
    # one g_lsb a unit of weight, one DAC code a unit of x, and a code an ampere: nothing rounds, nothing saturates
    configuration = configured(mapping, {"step": 1, "num": 1, "shift": 0},
                               {"g_min_us": 10.0, "g_mid_us": 45.0, "g_max_us": 80.0, "g_lsb_us": 5.0})
    generator = np.random.default_rng([inputs, outputs])
    weights = generator.integers(-7, 8, (outputs, inputs))
    weights[0, 0] = 7
    x = generator.integers(-4, 5, (9, inputs))
    board = Board(configuration)
    placement = board.load(weights, tile=3)
    assert placement.tiles.shape == (configuration.row_tiles(inputs), configuration.column_tiles(outputs))
    assert np.array_equal(board.read(placement, x), share * x @ weights.T)


def test_a_layer_lies_row_tile_major_with_its_pairs_side_by_side():
    configuration = configured(device={"g_lsb_us": 5.0})
    weights = np.zeros((20, 40), dtype=int)
    weights[17, 33] = 7         # second row tile, second column tile
    board = Board(configuration)
    board.load(weights, tile=2)
    cells = board.array.conductances
    assert (cells[[2, 3, 4]] == 9).all()                    # 45 uS
    assert cells[5, 1, 2] == 16 and cells[5, 1, 3] == 2     # 80 and 10 uS
    assert (cells[5] != 9).sum() == 2
    assert (cells[[0, 1, 6]] == 0).all()


@pytest.mark.parametrize("mapping", ["differential", "reference"])
def test_the_board_and_the_oracle_read_a_noisy_layer_alike(mapping):
    configuration = configured(mapping)
    generator = np.random.default_rng(5)
    board = Board(configuration, preset=NOISY)
    placement = board.load(generator.normal(size=(35, 50)), tile=1)
    x = generator.integers(-128, 128, (6, 50))
    tiles = placement.tiles.ravel()
    volts = np.zeros((6, 2, 32), dtype=int)
    volts.reshape(6, -1)[:, :50] = configuration.crossbar.step * x
    shared = volts[:, np.repeat([0, 1], placement.column_tiles)].transpose(1, 0, 2)
    drawn = board.array.noise(tiles, shared, board.array.events[tiles]).transpose(1, 0, 2)
    assert np.abs(drawn).max() > 1000
    wanted = read_layer(board.array.conductances[tiles], x, 35, configuration, drawn)
    assert np.array_equal(board.read(placement, x), wanted)
    assert (board.array.events[tiles] == 6).all() and board.array.events.sum() == 6 * len(tiles)


def test_codes_follow_the_contract_number_by_number():
    configuration = configured()
    array = Array(configuration, preset=NOISY)
    generator = np.random.default_rng(6)
    array.conductances[7] = generator.integers(0, 9000, (32, 32))
    volts = generator.integers(-5248, 5249, 32)
    high = generator.integers(0, 2, 32).astype(bool)
    codes = array.codes(np.array([7]), volts[None, None], np.array([4]), high)[0, 0]
    crossbar = configuration.crossbar
    for column in range(32):
        num, shift = ((crossbar.num, crossbar.shift), (crossbar.verify_num, crossbar.verify_shift))[int(high[column])]
        cells = array.conductances[7, :, column].tolist()
        variance = sum((volt * noise.cell_sigma(cell, NOISY.read)) ** 2
                       for volt, cell in zip(volts.tolist(), cells, strict=True)) + NOISY.noise_floor(num, shift) ** 2
        draw = noise.normal(noise.philox4x32((4, noise.READ_ROW, column, 0), (configuration.device.seed, 7)))
        current = sum(volt * cell for volt, cell in zip(volts.tolist(), cells, strict=True))
        assert codes[column] == requantise((current + noise.read_noise(draw, variance)) * num, shift, 14)


def test_read_noise_has_the_spread_of_the_preset():
    configuration = configured()
    array = Array(configuration, preset=Preset(read=6554))      # 10 %
    array.conductances[:] = 4000
    volts = np.full((1, 2000, 32), 3000)
    current = array.noise(np.array([0]), volts, np.array([0]))[0]
    assert current.std() == pytest.approx(0.1 * 4000 * 3000 * np.sqrt(32), rel=0.02)
    assert abs(np.corrcoef(current[:, 0], current[:, 1])[0, 1]) < 0.1


def test_tiles_give_the_same_codes_in_whatever_order_they_are_read():
    generator = np.random.default_rng(8)
    cells, volts = generator.integers(0, 9000, (4, 32, 32)), generator.integers(-5248, 5249, (4, 3, 32))
    together, alone = (Array(configured(), 4, NOISY) for _ in range(2))
    together.conductances[:] = alone.conductances[:] = cells
    codes = together.read(np.arange(4), volts)
    for vector in range(3):
        for tile in (2, 0, 3, 1):
            assert np.array_equal(alone.read(np.array([tile]), volts[tile:tile + 1, vector:vector + 1])[0, 0],
                                  codes[tile, vector])
    assert np.array_equal(alone.events, together.events)


def test_the_rows_switch_takes_its_share_of_the_voltage():
    array = Array(configured(), 1, Preset(on_resistance_ohm=180.0))
    array.program([0], np.full((1, 32, 32), 5000))
    assert (array.conductances[0] == round(5000 / (1 + 180 * 32 * 50e-6))).all()        # 22 % less


def test_programming_counts_the_cycles_it_took():
    array = Array(configured(), 2, NOISY)
    cycles = array.program(np.array([1]), np.full((1, 32, 32), 4500))
    assert cycles.shape == (1, 32, 32) and array.cycles.tolist() == [0, cycles.max()]


@pytest.mark.parametrize("call, kind, words", [
    (lambda board: board.array.read(np.array([40]), np.zeros((1, 1, 32), int)), RefusedValue,
     r"tiles must be 0\.\.39, not 40\.\.40"),
    (lambda board: board.array.read(np.array([1, 1]), np.zeros((2, 1, 32), int)), RefusedValue,
     "tiles must be different ones in one call, not repeat"),
    (lambda board: board.array.read(np.array([0.5]), np.zeros((1, 1, 32), int)), RefusedType,
     "tiles must be integers, not float64"),
    (lambda board: board.array.read(np.array([0]), np.zeros((1, 1, 31), int)), RefusedValue,
     r"volts must be of shape \(\.\.\., n, 32\), not \(1, 1, 31\)"),
    (lambda board: board.array.read(np.array([0]), np.full((1, 1, 32), 32769)), RefusedValue,
     r"volts must be -32768\.\.32768 DAC codes, not 32769\.\.32769"),
    (lambda board: board.array.read(np.array([0]), np.zeros((1, 1, 32))), RefusedType, "volts must be integers"),
    (lambda board: board.array.program([0], np.zeros((1, 32, 32))), RefusedType, "targets must be integers"),
    (lambda board: board.array.program([0], np.zeros((1, 32, 31), int)), RefusedValue, r"targets must be of shape"),
    (lambda board: board.load(np.ones((32, 32)), tile=39), RefusedValue,
     r"tiles must be 0\.\.39 \(crossbar\.arrays\), not 39\.\.40"),
    (lambda board: board.read(board.place(32, 16), np.zeros((2, 31), int)), RefusedValue,
     r"x must be of shape \(n, 32\), not \(2, 31\)"),
    (lambda board: board.read(board.place(32, 16), np.zeros((2, 32))), RefusedType, "x must be integers, not float64"),
    (lambda board: Array(configured(crossbar={"step": 300})), RefusedValue,
     r"crossbar\.step must be at most 256 for formats\.activation = 8, not 300"),
    (lambda board: Array(configured(), preset=Preset(read=1 << 30)), RefusedValue, "read noise must keep"),
])
def test_what_cannot_be_is_refused_in_words(call, kind, words):
    with pytest.raises(kind, match=words):
        call(Board(configured()))


# ---- the same array in C++ ----

@pytest.fixture(scope="module")
def native(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not on PATH")
    library = tmp_path_factory.mktemp("native") / "array.so"
    cpp = [str(path) for path in sources()[1] if path.suffix == ".cpp"]
    subprocess.run(["g++", "-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, *cpp],
                   check=True)
    return ctypes.CDLL(str(library))


def pack(bits):
    return np.packbits(np.asarray(bits, dtype=np.uint8), bitorder="little").view(np.uint32)


class Conversions:
    """The ADCs' hold, called as the board calls it, with every line in READ."""

    READING = 0b1_00_101_101_101    # ADC switch on; SL, BL, WL connected in mode 1

    def __init__(self, library, board):
        self.library, self.board = library, board
        library.rmd_array_read.argtypes = [ctypes.c_int] * 6 + [ctypes.c_void_p] * 5 + [ctypes.c_longlong]
        library.rmd_violation_clear()
        board.attach(library)

    def hold(self, tile, position, dac, wl=None, bl=None, sl=None, lines=READING):
        """Codes int16 (adcs,) of one conversion; ``dac`` (rows,) DAC codes."""
        array = self.board.array
        rows, columns, adcs = array.rows, array.columns, array.columns // 4
        wl, bl = (pack(np.ones(rows) if bits is None else bits) for bits in (wl, bl))
        sl = pack(np.zeros(columns) if sl is None else sl)
        dac, codes = np.ascontiguousarray(dac, np.uint16), np.zeros(adcs, np.int16)
        self.library.rmd_array_read(rows, columns, adcs, tile, position, lines,
                                    *(array.ctypes.data for array in (wl, bl, sl, dac, codes)), 77)
        return codes

    def read(self, tile, volts, sl=None):
        """Codes (columns,) of one vector's read."""
        return np.concatenate([self.hold(tile, position, 32768 - volts, sl=sl) for position in range(4)])


def test_the_cpp_philox_gives_the_published_known_answers_and_the_specifications_normals(native):
    Conversions(native, Board(configured()))        # the normal table comes with the array
    counter, key, block = (ctypes.c_uint32 * 4)(), (ctypes.c_uint32 * 2)(), (ctypes.c_uint32 * 4)()
    generator = np.random.default_rng(4)
    cases = [(0,) * 6, (0xFFFFFFFF,) * 6, (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)]
    cases += generator.integers(0, 1 << 32, (50, 6)).tolist()
    for case in cases:
        counter[:], key[:] = case[:4], case[4:]
        native.rmd_philox(counter, key, block)
        assert tuple(block) == noise.philox4x32(case[:4], case[4:])
        assert native.rmd_normal(block) == noise.normal(tuple(block))


@pytest.mark.parametrize("preset", [PRESETS["ideal"], NOISY, Preset(read=600), Preset(floor=1 << 18)])
@pytest.mark.parametrize("scale", ["default", "saturating", "coarse"])
def test_cpp_and_numpy_read_random_tiles_alike(native, preset, scale):
    crossbar = {"default": {}, "saturating": {"num": 60_000, "shift": 28, "verify_num": 0xFFFFFF, "verify_shift": 0},
                "coarse": {"num": 5, "shift": 29}}[scale]
    configuration = configured(crossbar=crossbar, device={"seed": 0xDEADBEEF})
    generator = np.random.default_rng(9)
    board, twin = Board(configuration, 5, preset), Board(configuration, 5, preset)
    cells = generator.integers(0, 16000, (5, 32, 32))
    board.array.conductances[:] = twin.array.conductances[:] = cells
    conversions = Conversions(native, board)
    largest = board.array.largest_volt
    seen = set()
    for trial in range(25):
        tile, sl = int(generator.integers(5)), generator.integers(0, 2, 32)
        volts = generator.integers(-largest, largest + 1, 32)
        if trial % 4 == 0:
            volts[:] = largest * (trial % 8 - 3) // 4       # all rows alike: the ends of the range
        codes = conversions.read(tile, volts, sl)
        assert np.array_equal(codes, twin.array.read(np.array([tile]), volts[None, None], sl)[0, 0])
        seen |= {int(codes.min()), int(codes.max())}
    assert np.array_equal(board.array.events, twin.array.events)
    assert native.rmd_array_conversions() == 100 and violations(native) == (0, [])
    if scale == "saturating":
        assert {-8192, 8191} <= seen


def test_cells_conduct_only_with_their_word_line_and_rows_drive_only_with_their_bit(native):
    board = Board(configured(crossbar={"num": 1, "shift": 0, "verify_num": 1, "verify_shift": 0}), 1)
    board.array.conductances[0] = 1
    conversions = Conversions(native, board)
    volts, rows = np.arange(32), np.arange(32)
    dac = 32768 - volts
    assert (conversions.hold(0, 0, dac) == volts.sum()).all()
    assert (conversions.hold(0, 0, dac, wl=rows % 2) == volts[1::2].sum()).all()
    assert (conversions.hold(0, 0, dac, bl=rows < 4) == volts[:4].sum()).all()
    assert (conversions.hold(0, 0, dac, lines=0b1_00_101_101_001) == 0).all()       # WL inhibited
    assert (conversions.hold(0, 0, dac, lines=0b1_00_101_100_101) == 0).all()       # BL in SAFE
    assert (conversions.hold(0, 0, dac, lines=0b1_00_110_101_101) == -8192).all()   # SL in SET: no stage
    assert (conversions.hold(0, 0, dac, lines=0b0_00_101_101_101) == -8192).all()   # ADC switch off


def test_positions_of_one_vector_share_an_event_and_the_next_vector_has_its_own(native):
    board = Board(configured(), 2, NOISY)
    conversions = Conversions(native, board)
    dac = np.full(32, 32000)
    events = []
    for tile, position, codes in ((0, 0, dac), (0, 1, dac), (0, 2, dac), (0, 0, dac), (1, 0, dac), (0, 1, dac),
                                  (0, 2, dac - 1), (0, 3, dac - 1), (0, 3, dac - 1)):
        conversions.hold(tile, position, codes)
        events.append(int(board.array.events[tile]))
    assert events == [1, 1, 1, 2, 1, 2, 3, 3, 4]


def test_the_array_reports_what_it_cannot_read(native):
    board = Board(configured(), 2)
    conversions = Conversions(native, board)
    conversions.hold(2, 0, np.full(32, 32768))
    conversions.hold(0, 0, np.full(32, 32768 + 5249))
    board = Board(Configuration(geometry=dataclasses.replace(configured().geometry, tile_rows=16)))
    board.attach(native)
    Conversions.hold(conversions, 0, 0, np.full(32, 32768))
    count, texts = violations(native)
    assert count == 3
    assert texts == ["array: selected, below: limit 2, measured 2, at tick 77",
                     "array: read voltage of a row, in DAC codes: limit 5248, measured 5249, at tick 77",
                     "array: configured for this board (rows): limit 16, measured 32, at tick 77"]
