"""Line and switch resistance: the nodal solution against rationals, the fast one against it, a read through both."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from rmdlora.cosim.array import Array
from rmdlora.cosim.lines import solve_exactly, solve_fast
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import Preset
from rmdlora.golden.spec.refusal import Refusal

DEFAULT = load_configuration("default")


def solve_in_fractions(conductances_us, row_ohm, row_segment_ohm, column_segment_ohm, column_ohm):
    """Effective conductances in uS of a small tile by Gaussian elimination in rationals; every resistance above 0."""
    rows, columns = len(conductances_us), len(conductances_us[0])
    size = 2 * rows * columns
    effective = []
    for driven in range(rows):
        matrix = [[Fraction(0)] * (size + 1) for _ in range(size)]

        def connect(left, right, ohm_or_siemens, matrix=matrix):
            for here, there in ((left, right), (right, left)):
                if here is not None:
                    matrix[here][here] += ohm_or_siemens
                    if there is not None:
                        matrix[here][there] -= ohm_or_siemens

        for i in range(rows):
            for j in range(columns):
                along, across = i * columns + j, (rows + i) * columns + j
                connect(along, across, Fraction(conductances_us[i][j], 10**6))
                if j:
                    connect(along - 1, along, 1 / Fraction(row_segment_ohm))
                if i:
                    connect(across - columns, across, 1 / Fraction(column_segment_ohm))
            connect(i * columns, None, 1 / Fraction(row_ohm))
        for j in range(columns):
            connect((2 * rows - 1) * columns + j, None, 1 / Fraction(column_ohm))
        matrix[driven * columns][size] = 1 / Fraction(row_ohm)
        for pivot in range(size):
            found = next(row for row in range(pivot, size) if matrix[row][pivot])
            matrix[pivot], matrix[found] = matrix[found], matrix[pivot]
            for row in range(size):
                if row != pivot and matrix[row][pivot]:
                    share = matrix[row][pivot] / matrix[pivot][pivot]
                    matrix[row] = [here - share * there for here, there in zip(matrix[row], matrix[pivot], strict=True)]
        volts = [matrix[node][size] / matrix[node][node] for node in range(size)]
        effective.append([10**6 * volts[(2 * rows - 1) * columns + j] / Fraction(column_ohm) for j in range(columns)])
    return np.array(effective, dtype=float)


@pytest.mark.parametrize("rows, columns", [(2, 2), (3, 4), (4, 3), (1, 3), (3, 1)])
def test_the_nodal_solution_is_that_of_exact_rationals(rows, columns):
    cells = np.random.default_rng([rows, columns]).integers(1, 5000, (rows, columns))
    ohms = (180, 70, 45, 30)
    wanted = solve_in_fractions(cells.tolist(), *ohms)
    assert np.allclose(solve_exactly(cells, *ohms), wanted, rtol=1e-11, atol=0)
    assert np.allclose(solve_fast(cells, *ohms, sweeps=60), wanted, rtol=1e-11, atol=0)
    assert (wanted < 0.9 * cells).any()


@pytest.mark.parametrize("solve", [solve_exactly, solve_fast])
def test_without_resistance_nothing_is_lost_and_a_switch_alone_is_the_rows_factor(solve):
    cells = np.random.default_rng(2).uniform(10, 80, (2, 8, 5))
    assert np.allclose(solve(cells), cells, rtol=1e-14)
    assert np.allclose(solve(cells, 180.0), cells / (1 + 180e-6 * cells.sum(axis=2, keepdims=True)), rtol=1e-12)
    for ohms in ((0, 3, 0, 0), (0, 0, 3, 0), (0, 0, 0, 9), (180, 0, 3, 0), (0, 3, 3, 0), (0, 0, 3, 9), (180, 3, 0, 9)):
        nearly = [ohm or 1e-6 for ohm in ohms]
        assert np.allclose(solve(cells, *ohms), solve(cells, *nearly), rtol=1e-5), ohms
    sides = solve(cells, 0, 4, 7, 0), solve(np.swapaxes(cells[:, ::-1, ::-1], 1, 2), 0, 7, 4, 0)
    assert np.allclose(sides[0], np.swapaxes(sides[1], 1, 2)[:, ::-1, ::-1], rtol=2e-4)   # rows and columns exchanged


@pytest.mark.parametrize("segment_ohm, cell_error, read_error", [(2.0, 1e-5, 1e-6), (5.0, 2e-4, 2e-5),
                                                                 (10.0, 1e-3, 2e-4)])
def test_the_fast_solution_is_off_by_no_more_than_it_says(segment_ohm, cell_error, read_error):
    generator = np.random.default_rng(3)
    for _ in range(2):
        cells, volts = generator.uniform(10, 80, (32, 32)), generator.uniform(-1, 1, (100, 32))
        ohms = (180.0, segment_ohm, segment_ohm)
        exact, fast = solve_exactly(cells, *ohms), solve_fast(cells, *ohms)
        assert np.abs(fast / exact - 1).max() <= cell_error
        assert (volts @ (fast - exact)).std() <= read_error * (volts @ exact).std()


def test_a_configured_array_reads_through_its_lines():
    def array_of(**device):
        changed = dataclasses.replace(DEFAULT, device=dataclasses.replace(DEFAULT.device, **device))
        return Array(changed, 2, Preset(on_resistance_ohm=180.0))

    targets = np.random.default_rng(4).integers(1000, 8001, (2, 32, 32))
    volts = np.random.default_rng(5).integers(-5248, 5249, (2, 50, 32))
    codes = {}
    for lines, ohm in (("row", 0.0), ("exact", 0.0), ("exact", 2.0), ("fast", 2.0)):
        array = array_of(lines=lines, row_segment_ohm=ohm, column_segment_ohm=ohm)
        array.program([0, 1], targets)
        codes[lines, ohm] = array.read(np.arange(2), volts)
        assert np.array_equal(array.conductances, np.rint(
            solve_exactly(targets / 100, 180.0, ohm, ohm) * 100)) or lines == "fast"
    assert np.array_equal(codes["row", 0.0], codes["exact", 0.0])
    assert np.abs(codes["exact", 2.0] - codes["row", 0.0]).max() > 20
    assert np.abs(codes["exact", 2.0] - codes["fast", 2.0]).max() <= 1
    array.conductances[0, 0] = 5000                     # programmed at the pins; until then read as by a verify
    array.settle()
    assert (array.conductances[0, 0] < 4500).all()


def test_lines_that_contradict_themselves_are_refused():
    for device, words in (
            ({"lines": "spice"}, "device.lines must be row, exact or fast, not 'spice'"),
            ({"row_segment_ohm": 2.0}, "device.row_segment_ohm must be 0 where device.lines is row, not 2"),
            ({"lines": "fast", "column_ohm": -1.0}, "device.column_ohm must be a number of at least 0")):
        with pytest.raises(Refusal, match=words.replace(".", r"\.")):
            dataclasses.replace(DEFAULT.device, **device)
