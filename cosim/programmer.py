"""The programming loop in numpy: what the gateware does to a tile, pulse by pulse, without a pin.

For the same array, seed and schedule it leaves the same conductances, pulse counts and results as the chip on its
simulated board, and it knows the clocks that takes.
"""

import dataclasses

import numpy as np
from rmdlora.golden.spec.formats import round_shift, saturate
from rmdlora.golden.spec.noise import READ_ROW, cell_sigma, normal, philox4x32, read_noise
from rmdlora.golden.spec.program import CellStatus, Schedule, program_cycles, verify_code, verify_volt
from rmdlora.golden.spec.pulses import PULSE_WORD, pulsed
from rmdlora.golden.spec.refusal import RefusedValue

__all__ = ["Programmed", "map_codes", "program_tile"]

ANALYSER_TICKS = 10     # of the analyser on the simulated board (ANALYSER_PULSE in cosim/parts/board.sv)


@dataclasses.dataclass(frozen=True)
class Programmed:
    """What came of a map: ``pulses`` int64 and ``status`` (`CellStatus`) int64, both (rows, columns); ``verifies`` and
    ``cycles`` (clocks) of the whole."""

    pulses: np.ndarray
    status: np.ndarray
    verifies: int
    cycles: int


def map_codes(conductances, configuration):
    """Target codes of ``conductances`` (in g_lsb, any shape): int64 of that shape."""
    return np.vectorize(lambda cell: verify_code(int(cell), configuration), otypes=[np.int64])(conductances)


def program_tile(array, tile, codes, tolerance, schedule=None, skip=False):
    """Program ``tile`` of an `array.Array` to target ``codes`` (rows, columns), each within ``tolerance`` codes.

    ``tolerance`` and ``skip`` broadcast against the codes. Counts the array's pulses and read events.
    """
    schedule = schedule or Schedule()
    schedule.check(array.configuration.board)
    if array.pulse_model is None:
        raise RefusedValue(f"device.preset must be one with a model of pulses, not {array.configuration.device.preset}")
    shape = (array.rows, array.columns)
    codes, tolerance, skip = (np.broadcast_to(values, shape) for values in (codes, tolerance, skip))
    pulses, status = np.zeros(shape, np.int64), np.full(shape, CellStatus.SKIPPED, np.int64)
    widths, verifies = 0, 0
    for row, column in zip(*np.nonzero(~skip), strict=True):
        target, margin = int(codes[row, column]), int(tolerance[row, column])
        spent, amplitude, latest = 0, None, None
        while True:
            code = read_cell(array, tile, row, column)
            verifies += 1
            above = code > target + margin and not schedule.forming
            if code >= target - margin and not above:
                status[row, column] = CellStatus.VERIFIED
                break
            if spent == schedule.limit:
                status[row, column] = CellStatus.GIVEN_UP
                break
            kind = schedule.form if schedule.forming else schedule.reset if above else schedule.set
            amplitude = kind.following(amplitude if latest == above else None)
            latest = above
            ticks = ANALYSER_TICKS if schedule.analyser else kind.ticks
            strike_cell(array, tile, row, column, -amplitude if above else amplitude, kind.gate, ticks)
            spent += 1
            widths += kind.ticks
        pulses[row, column] = spent
    visited = np.flatnonzero(~skip)
    cycles = program_cycles(array.configuration, len(visited), int(pulses.sum()), widths,
                            int(visited[0]) if len(visited) else 0)
    return Programmed(pulses, status, verifies, cycles)


def read_cell(array, tile, row, column):
    """Code of a verify: what `array.Array.read` gives for that cell alone, in plain integers."""
    configuration, preset = array.configuration, array.preset
    event = int(array.events[tile])
    array.events[tile] += np.uint32(1)
    conductance, volt = int(array.conductances[tile, row, column]), verify_volt(configuration)
    current = clean = volt * conductance
    if preset.read or array.floor[1]:
        draw = normal(philox4x32((event, READ_ROW, int(column), 0), (configuration.device.seed, int(tile))))
        current += read_noise(draw, (volt * cell_sigma(conductance, preset.read)) ** 2 + array.floor[1] ** 2)
    if array.stages:
        current += int(array.stages.error(np.full(array.columns, clean), np.ones(array.columns, bool))[column])
    crossbar = configuration.crossbar
    return saturate(round_shift(current * crossbar.verify_num, crossbar.verify_shift), crossbar.adc_bits)


def strike_cell(array, tile, row, column, volt, gate, ticks):
    """One pulse."""
    cell = (tile, row, column)
    before = int(array.pulses[cell])
    array.pulses[cell] += np.uint32(1)
    own = {name: int(part[cell]) for name in ("low", "high", "strength")
           if (part := getattr(array.cells, name)) is not None}
    array.conductances[cell] = pulsed(
        array.pulse_model, int(array.conductances[cell]), volt, gate, ticks, before,
        lambda: philox4x32((before, int(row), int(column), PULSE_WORD), (array.configuration.device.seed, int(tile))),
        **own)
