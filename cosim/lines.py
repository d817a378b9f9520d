"""What the resistance of lines and switches leaves of a read: effective conductances of whole tiles.

Row i is driven through ``row_ohm`` (its switch) at column 0 and runs past the columns, ``row_segment_ohm`` from each to
the next; column j runs past the rows, ``column_segment_ohm`` each, and ends below the last one through ``column_ohm``
in its stage's virtual ground. All gates are on. That network is linear: the current of column j is the sum over the
rows of V[i] times an effective conductance, which is what `solve_exactly` and `solve_fast` give. A read then goes on
in integers, as without lines.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import splu

__all__ = ["SOLVERS", "solve_exactly", "solve_fast"]

GROUND = -1
SWEEPS = 3


def relax(admittances, sources, other, first_ohm, segment_ohm):
    """Voltages along lines whose cells lead to voltages that are held: exact for each line by itself.

    ``admittances`` (cells, lines) in S, from the line's beginning; ``sources`` (drives, lines): what drives it there,
    through ``first_ohm``; ``other`` (cells, drives, lines): voltages at the cells' far sides. Returns (cells, drives,
    lines). What lies past a cell is carried to the beginning as an admittance and a current, and the voltage back.
    """
    loads, currents = np.empty_like(admittances), np.empty_like(other)
    load = current = 0.0
    for place in reversed(range(len(admittances))):
        loads[place] = admittances[place] + load
        np.multiply(other[place], admittances[place], out=currents[place])
        currents[place] += current
        share = 1 / (1 + segment_ohm * loads[place])
        load, current = loads[place] * share, currents[place] * share
    volt = sources
    for place in range(len(admittances)):
        ohm = segment_ohm if place else first_ohm
        volt = (volt + ohm * currents[place]) / (1 + ohm * loads[place])
        currents[place] = volt
    return currents


def solve_fast(conductances_us, row_ohm=0.0, row_segment_ohm=0.0, column_segment_ohm=0.0, column_ohm=0.0,
               sweeps=SWEEPS):
    """Effective conductances in uS, approximately, of tiles (..., rows, columns).

    Rows are solved with the columns' voltages held, then columns with the rows' held, ``sweeps`` times; exact after one
    where only rows or only columns have resistance. Measured against `solve_exactly`, 180 Ohm to each row, random cells
    of 10..80 uS: 32 x 32 are off by at most 0.001, 0.02, 0.1 % of a cell's own effective conductance at 2, 5, 10 Ohm a
    segment of both lines, and random reads by 0.0001, 0.002, 0.02 % of their rms. Every sweep takes a factor of 20 (10
    Ohm) to 200 (1 Ohm) off. Longer lines want more of them, or the exact solution: 128 x 128 at 1 Ohm are off by 1 %,
    reads by 0.2 %, and at 10 Ohm it is of no use (reads by 11 %).
    """
    conductances_us = np.asarray(conductances_us, dtype=np.float64)
    *leading, rows, columns = conductances_us.shape
    effective = []
    for tile in conductances_us.reshape(-1, rows, columns):
        siemens = tile * 1e-6
        along_rows, upwards = np.ascontiguousarray(siemens.T), np.ascontiguousarray(siemens[::-1])
        held = np.zeros((columns, rows, rows))                  # columns' voltages (column, row that is driven, row)
        for _ in range(sweeps):
            rise = relax(along_rows, np.eye(rows), held, row_ohm, row_segment_ohm)
            turned = np.ascontiguousarray(rise.transpose(2, 1, 0)[::-1])    # rows from the stage, below the last one
            sunk = relax(upwards, 0.0, turned, column_ohm, column_segment_ohm)
            held = np.ascontiguousarray(sunk[::-1].transpose(2, 1, 0))
        effective.append(np.einsum("ij,jdi->dj", tile, rise - held))
    return np.array(effective).reshape(*leading, rows, columns)


def solve_exactly(conductances_us, row_ohm=0.0, row_segment_ohm=0.0, column_segment_ohm=0.0, column_ohm=0.0):
    """Effective conductances in uS of tiles (..., rows, columns), by the nodal equations.

    Two nodes a cell, one factorisation a tile and one right-hand side a row, in float64 (scipy's SuperLU).
    """
    conductances_us = np.asarray(conductances_us, dtype=np.float64)
    *leading, rows, columns = conductances_us.shape
    flat = conductances_us.reshape(-1, rows, columns)
    ohms = (row_ohm, row_segment_ohm, column_segment_ohm, column_ohm)
    return np.array([solve_tile(tile, *ohms) for tile in flat]).reshape(*leading, rows, columns)


def solve_tile(conductances_us, row_ohm, row_segment_ohm, column_segment_ohm, column_ohm):
    """`solve_exactly` of one tile (rows, columns)."""
    siemens = conductances_us * 1e-6
    rows, columns = siemens.shape
    # nodes: 0.. unknown, GROUND, and GROUND - 1 - i the driver of row i; a line without resistance is one node
    row_nodes = np.arange(rows)[:, None] * columns + np.arange(columns)
    if not row_segment_ohm:
        row_nodes = np.repeat(np.arange(rows)[:, None], columns, axis=1)
    drivers = GROUND - 1 - np.arange(rows)
    if not row_ohm:
        row_nodes = np.where(row_nodes == row_nodes[:, :1], drivers[:, None], row_nodes)
    column_nodes = row_nodes.max(initial=-1) + 1 + np.arange(rows)[:, None] * columns + np.arange(columns)
    if not column_segment_ohm:
        column_nodes = np.repeat(column_nodes[:1], rows, axis=0)
    if not column_ohm:
        column_nodes = np.where(column_nodes == column_nodes[-1:], GROUND, column_nodes)
    branches = [(row_nodes, column_nodes, siemens)]
    branches += [(row_nodes[:, :1], drivers[:, None], 1 / row_ohm)] if row_ohm else []
    branches += [(row_nodes[:, :-1], row_nodes[:, 1:], 1 / row_segment_ohm)] if row_segment_ohm else []
    branches += [(column_nodes[:-1], column_nodes[1:], 1 / column_segment_ohm)] if column_segment_ohm else []
    branches += [(column_nodes[-1:], np.full((1, columns), GROUND), 1 / column_ohm)] if column_ohm else []
    left, right, admittance = (np.concatenate([np.broadcast_to(part, np.shape(branch[0])).ravel() for branch in branches
                                               for part in (branch[place],)]) for place in range(3))
    volts = solve_nodes(left, right, admittance, rows)      # (nodes and fixed ones, rows): by the row that is driven
    across = volts[row_nodes] - volts[column_nodes]         # (rows, columns, rows driven)
    return np.einsum("ij,ijd->dj", conductances_us, across)


def solve_nodes(left, right, admittance, rows):
    """Voltages (nodes, rows) of every node, where each of the ``rows`` drivers alone is at 1 V; fixed nodes, addressed
    from the end, are among them."""
    named, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    unknown = named >= 0
    numbers = numbers.reshape(2, -1)
    size, fixed = int(unknown.sum()), int((~unknown).sum())
    inside = numbers - fixed                                # below 0: fixed
    entries = []
    for here, there in (inside, inside[::-1]):
        kept = here >= 0
        entries.append((here[kept], here[kept], admittance[kept]))
        both = kept & (there >= 0)
        entries.append((here[both], there[both], -admittance[both]))
    matrix = coo_matrix((np.concatenate([entry[2] for entry in entries]),
                         tuple(np.concatenate([entry[axis] for entry in entries]) for axis in (0, 1))),
                        shape=(size, size)).tocsc()
    volts = np.zeros((max(named.max() + 1, 0) + rows + 1, rows))
    volts[GROUND - 1 - np.arange(rows), np.arange(rows)] = 1.0
    if size:
        injected = np.zeros((size, rows))
        for here, there in (inside, inside[::-1]):
            driven = (here >= 0) & (there < 0)
            np.add.at(injected, here[driven], admittance[driven, None] * volts[named[there[driven] + fixed]])
        volts[named[unknown]] = splu(matrix).solve(injected)
    return volts


SOLVERS = {"exact": solve_exactly, "fast": solve_fast}

