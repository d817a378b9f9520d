"""The board in numpy, layer by layer, and its way into a simulation.

In numpy: `Board` programs a layer's weights into tiles and reads whole layers, giving the crossbar sums ``c`` of the
contract's section 5.

In a simulation: SystemVerilog module `board` (cosim/parts) at the chip's pins, with the array as C++ behind it. A build
needs, beside the chip's Verilog,

* the files of `sources`, the SystemVerilog ones in the order given (a package comes first);
* the module's parameters, `parameters`;
* Verilator 5 without ``--timing``; the parts are clean under ``-Wall`` with the waivers of cosim/parts/board.vlt. The
  C++ needs C++17 and no library. Under cocotb the program must be linked with ``-rdynamic`` for ``ctypes.CDLL(None)``
  to see it (the pinned Verilator does that).

The simulation's library (``ctypes.CDLL`` of it, or of None under cocotb) is told the array by `Board.attach`, before
the first conversion, and asked for broken rules by `violations`. Array memory, event counts included, is shared: what
one side reads or programs, the other sees.
"""

import ctypes
import dataclasses
import pathlib

import numpy as np
from rmdlora.golden.spec.normal_table import TABLE
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue

from .array import Array, combine_codes
from .timers import Timer

__all__ = ["Board", "Placement", "clear_violations", "conversions", "hold_ticks", "parameters", "sources", "timers",
           "violations"]

FOLDER = pathlib.Path(__file__).parent
PARTS = ("board_checks.sv", "sn74hc595.sv", "cd4051b.sv", "dac80508.sv", "ads8324.sv", "board.sv")
NORMAL_TABLE = np.array(TABLE, dtype=np.int32)


def sources():
    """``(verilog, native)``: lists of paths of the SystemVerilog files, in order, and of the C++ files and header."""
    return ([FOLDER / "parts" / name for name in PARTS],
            [FOLDER / "native" / name for name in ("array.h", "array.cpp")])


def timers(checks=True):
    """The `timers.Timer` of module `board`: its clock, asked for by whatever a part does some time after an edge.

    All else that a part asks of the clock, it asks at an edge of its pins. Only ``checks`` ask when START has ended.
    """
    due = ["wl_chain.through_at", "bl_chain.through_at", "sl_chain.through_at", "dac.due", "adc.due"]
    due += ["started_at"] if checks else []
    return (Timer(("board.now",), (), (), tuple((f"board.{name}",) for name in due)),)


def parameters(configuration, checks=True):
    """Parameters of module `board`: a dict of name to integer. Without ``checks`` no part judges its timing."""
    geometry, board = configuration.geometry, configuration.board
    return {"ROWS": geometry.tile_rows, "COLUMNS": geometry.tile_columns, "DACS": board.dacs(geometry.tile_rows),
            "ADCS": board.adcs(geometry.tile_columns), "POSITIONS": board.positions, "ARRAY_BITS": board.array_bits,
            "CHECKS": int(checks)}


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a layer of ``inputs`` x ``outputs`` lies: ``row_tiles x column_tiles`` tiles from index ``tile`` on."""

    inputs: int
    outputs: int
    tile: int
    row_tiles: int
    column_tiles: int

    @property
    def tiles(self):
        """Array indices, int64 (row_tiles, column_tiles): ``tile + row_tile * column_tiles + column_tile``."""
        return self.tile + np.arange(self.row_tiles * self.column_tiles).reshape(self.row_tiles, self.column_tiles)


class Board:
    """An array and the layers in it.

    Parameters: ``configuration``; ``arrays``, ``preset``, ``pulses`` and ``stuck`` as of `array.Array`. ``array`` is
    the `Array`. ``faults``: `faults.PartFault`, of the simulated board alone.
    """

    def __init__(self, configuration, arrays=None, preset=None, pulses=None, stuck=None, faults=()):
        for fault in faults:
            fault.check(configuration)
        self.configuration, self.faults = configuration, tuple(faults)
        self.array = Array(configuration, arrays, preset, pulses, stuck)

    def place(self, inputs, outputs, tile=0):
        """The `Placement` of a layer; refuses one that reaches past the last array."""
        row_tiles, column_tiles = self.configuration.row_tiles(inputs), self.configuration.column_tiles(outputs)
        end = tile + row_tiles * column_tiles
        if tile < 0 or end > len(self.array.conductances):
            raise RefusedValue(f"tiles must be 0..{len(self.array.conductances) - 1} (crossbar.arrays), "
                               f"not {tile}..{end - 1}")
        return Placement(inputs, outputs, tile, row_tiles, column_tiles)

    def load(self, weights, tile=0):
        """Program ``weights`` (d, k) from array ``tile`` on; the layer's `Placement`."""
        outputs, inputs = np.shape(weights)
        placement = self.place(inputs, outputs, tile)
        self.array.load(weights, tile)
        return placement

    def read(self, placement, x, high=False):
        """Crossbar sums ``c`` int64 (n, d) of activation codes ``x`` (n, k): a read of every tile for every vector.

        A streamed read is an event a pass: those of a vector follow each other. ``high``: the gain range.
        """
        configuration = self.configuration
        x = np.asarray(x)
        if x.dtype.kind not in "iu":
            raise RefusedType(f"x must be integers, not {x.dtype}")
        if x.ndim != 2 or x.shape[1] != placement.inputs:
            raise RefusedValue(f"x must be of shape (n, {placement.inputs}), not {x.shape}")
        volts = self.row_volts(placement, x)                            # (row tiles, n x passes, rows)
        codes = self.array.read(placement.tiles, volts[:, None], high)  # (row tiles, column tiles, n x passes, columns)
        sums = combine_codes(codes, configuration.crossbar.mapping).sum(axis=0)     # ... tile outputs
        if configuration.passes:
            weights = np.array([plane.weight for plane in configuration.passes])
            sums = np.einsum("tnpo,p->tno", sums.reshape(len(sums), len(x), len(weights), -1), weights)
        return sums.transpose(1, 0, 2).reshape(len(x), -1)[:, :placement.outputs]

    def row_volts(self, placement, x):
        """What a read of ``x`` (n, k) puts on the rows about VCM, in DAC codes: int64 (row tiles, n x passes, rows)."""
        configuration, rows = self.configuration, self.array.rows
        x = np.asarray(x, dtype=np.int64)
        padded = np.zeros((len(x), placement.row_tiles * rows), dtype=np.int64)
        padded[:, :placement.inputs] = x
        if configuration.passes:
            padded = np.stack([plane.of(padded) for plane in configuration.passes], axis=1)     # (n, passes, ...)
        return configuration.unit_volt * padded.reshape(-1, placement.row_tiles, rows).transpose(1, 0, 2)

    def attach(self, library):
        """Hand the array to the simulation whose C functions ``library`` (`ctypes.CDLL`) holds.

        The array's memory must not be replaced while the simulation runs; this board is kept alive by the library
        object. Starts the count of conversions; event counts go on. Faults of DACs, ADCs and the analyser are there
        from the next reset on.
        """
        array, crossbar = self.array, self.configuration.crossbar
        config = ArrayConfig(
            array.conductances.ctypes.data, array.events.ctypes.data, NORMAL_TABLE.ctypes.data, array.floor,
            len(array.conductances), array.rows, array.columns,
            self.configuration.board.adcs(array.columns), self.configuration.board.positions,
            (crossbar.num, crossbar.verify_num), (crossbar.shift, crossbar.verify_shift), crossbar.adc_bits,
            array.preset.read, self.configuration.device.seed, array.largest_volt, *self.pulse_fields(),
            *((None, None) if array.stages is None else (array.stages.slope.ctypes.data,
                                                         array.stages.offset.ctypes.data)))
        library.rmd_array_config.argtypes = [ctypes.POINTER(ArrayConfig)]
        if library.rmd_array_config(ctypes.byref(config)):
            raise RefusedValue(f"the array must fit the board of configuration {self.configuration.name}, "
                               "not contradict it")
        library.rmd_fault_clear()
        for fault in self.faults:
            library.rmd_fault_add(fault.code, fault.index)
        library.attached_board = self

    def pulse_fields(self):
        """The fields of `ArrayConfig` that tell what a pulse does; none of it for a device without such a model."""
        array, model = self.array, self.array.pulse_model
        if model is None:
            return (None, None, 0, 1, 0, (0, 0), *[0] * 7, None, None, None)
        tables = array.pulse_tables
        shape = (1, 1, 2) if tables is None else tables.shape
        return (array.pulses.ctypes.data, None if tables is None else tables.ctypes.data, shape[1], model.pitch,
                shape[2], (model.set_threshold, model.reset_threshold), model.gate_threshold, model.gain, model.shift,
                model.spread, model.ceiling, model.endurance, model.narrowing,
                *(None if part is None else part.ctypes.data
                  for part in (array.cells.low, array.cells.high, array.cells.strength)))


class ArrayConfig(ctypes.Structure):
    """As `rmd_config` in cosim/native/array.h."""

    _fields_ = [("conductance", ctypes.c_void_p), ("events", ctypes.c_void_p), ("normal_table", ctypes.c_void_p),
                ("floor", ctypes.c_int64 * 2),
                *((name, ctypes.c_int32) for name in ("arrays", "rows", "columns", "adcs", "positions")),
                ("num", ctypes.c_int32 * 2), ("shift", ctypes.c_int32 * 2), ("adc_bits", ctypes.c_int32),
                ("read", ctypes.c_int32), ("seed", ctypes.c_uint32), ("read_limit", ctypes.c_int32),
                ("pulses", ctypes.c_void_p), ("tables", ctypes.c_void_p),
                *((name, ctypes.c_int32) for name in ("points", "pitch", "quantiles")),
                ("threshold", ctypes.c_int32 * 2), *((name, ctypes.c_int32) for name in (
                    "gate_threshold", "gain", "shift_pulse", "spread", "ceiling", "endurance", "narrowing")),
                *((name, ctypes.c_void_p) for name in ("low", "high", "strength", "stage_slope", "stage_offset"))]


def conversions(library):
    """Conversions that asked the array since `Board.attach`."""
    library.rmd_array_conversions.restype = ctypes.c_int64
    return library.rmd_array_conversions()


def hold_ticks(library):
    """Board clocks since power-up of every hold since `Board.attach` (the first 2**20): (conversions,) int64."""
    ticks = np.zeros(min(conversions(library), 1 << 20), np.int64)
    library.rmd_array_holds.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    library.rmd_array_holds.restype = ctypes.c_int64
    return ticks[:library.rmd_array_holds(0, len(ticks), ticks.ctypes.data)]


def violations(library):
    """``(count, texts)``: rules of the board broken so far, and the first 256 of them in words."""
    library.rmd_violation_count.restype = ctypes.c_int64
    library.rmd_violation_text.argtypes = [ctypes.c_int64, ctypes.c_char_p, ctypes.c_int]
    count, texts, text = library.rmd_violation_count(), [], ctypes.create_string_buffer(256)
    while library.rmd_violation_text(len(texts), text, len(text)) >= 0:
        texts.append(text.value.decode())
    return count, texts


def clear_violations(library):
    """Forget them."""
    library.rmd_violation_clear()
