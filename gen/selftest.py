"""A self-test of a board: cells of known conductance are verified, and what does not verify says which part is broken.

The shift registers, the switches, the DACs' outputs and the amplifiers have no read-back, so no operation can notice
that one of them is dead: sums are wrong, and the operation ends well. A verify goes through all of them, a cell at a
time.
"""

import numpy as np
from rmdlora.golden.spec.program import CellStatus, Schedule

__all__ = ["find_suspects", "verify_tile"]

CHANNELS = 8        # of a DAC80508


def verify_tile(driver, tile, codes, tolerance, skip=False):
    """Read the cells of array ``tile`` one by one, without a pulse: bool (rows, columns), true where a cell's code is
    not within ``tolerance`` of ``codes``. ``skip``: cells to leave out, which count as good. Raises `OperationFault`.
    """
    _, status = driver.program_tile(tile, codes, tolerance, Schedule(limit=0), skip)
    return status == CellStatus.GIVEN_UP


def find_suspects(configuration, failed, skip=False):
    """Parts that explain the cells ``failed`` (rows, columns), in words: the fewest parts, largest first; then cells.

    A part is suspected where every cell read through it failed; with ``skip``, where every one that was read did.
    """
    board = configuration.board
    read = np.broadcast_to(~np.asarray(skip, dtype=bool), failed.shape)
    row, column = np.indices(failed.shape)
    adcs = board.adcs(failed.shape[1])
    parts = [(np.ones_like(failed), "a chain of SN74HC595, the ADCs' switch, or the supplies' DAC"),
             (column >= adcs, "the ADCs' switch")]
    parts += [(row // CHANNELS == dac, f"DAC {dac}") for dac in range(board.dacs(failed.shape[0]))]
    parts += [(column % adcs == adc, f"ADC {adc} or its switch") for adc in range(adcs)]
    parts += [(row == line, f"row {line}: its WL or BL switch, or its DAC channel") for line in range(failed.shape[0])]
    parts += [(column == line, f"column {line}: its SL switch or its stage") for line in range(failed.shape[1])]
    suspects, left = [], failed & read
    for cells, name in parts:
        through = cells & read
        if (through & left).any() and not (through & ~failed).any():
            suspects.append(name)
            left = left & ~cells
    return suspects + [f"cell ({line}, {place})" for line, place in np.argwhere(left)]
