"""Calibration of a layer's outputs on the board it lies on: what each gives too much or too little, measured, undone.

The reference is what was programmed: the conductances of a layer's cells are known, to the tolerance of their verify,
so the sums an exact board would give for known inputs are known too. The run reads

* zeros, for the offset of each output: stages and ADCs, on the very lines the layer is read with;
* patterns of inputs at plus and minus full scale, each with its opposite, as large as no ADC saturates at; for the
  gain: resistances in series with Rf, and Rf itself.

An output's sum is fitted, by least squares over all patterns, as

    c = offset + (1 / gain) * exact + mismatch * sum of the inputs

The last term is what two columns of different gain leave of what they have in common. It belongs to no output's gain
and cannot be undone by one, so it must not sway the fit: it is found, kept out, and reported.

What remains after the correction, in codes of `c`: half a code of the offset, ``mismatch * sum of the inputs``, the
noise of the reads, the rounding of every code, and that of the gain (2**-15 of the sum at most). The planes of a
streamed read round one by one, each with its weight: a gain error below about a code of a plane is not worth a run
(0.5 % in the high gain range is not).
"""

import dataclasses

import numpy as np
from rmdlora.golden.spec.formats import GAIN_BITS, SHIFT_LIMIT
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue, need_integer

from .operations import Shifts

__all__ = ["Calibration", "exact_sums", "measure"]

MARGIN = 0.8            # of the ADC's range that a pattern may use
TOP = (1 << GAIN_BITS - 1) - 1
SEED = 1                # of the patterns: any will do, and the same ones make a run repeatable


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was found of the outputs, float64 (d,) each: ``offset`` in codes of `c`, ``gain`` (an exact board's sums
    over those measured), ``mismatch`` in codes of `c` a unit of input, ``residual`` the fit's rms error in codes."""

    offset: np.ndarray
    gain: np.ndarray
    mismatch: np.ndarray
    residual: np.ndarray

    def codes(self, scale=1.0):
        """``(gain, offset, w_shift)`` for the digital unit: int64 (d,) each and the shift all outputs share, with which
        ``(c - offset) * gain / 2**w_shift`` is ``scale`` times the exact sum. ``scale`` may be one an output."""
        gain = self.gain * scale
        largest = np.abs(gain).max()
        if not 0 < largest <= TOP:
            raise RefusedValue(f"scale must leave the largest gain above 0 and at most {TOP}, not {largest}")
        w_shift = min(SHIFT_LIMIT, int(np.floor(np.log2(TOP / largest))))
        return (np.rint(gain * 2.0**w_shift).astype(np.int64), np.rint(self.offset).astype(np.int64), w_shift)


def exact_sums(configuration, conductances, x, outputs, high=False):
    """Sums that an exact board gives for ``x`` (n, k), before anything rounds: float64 (n, d).

    ``conductances`` (tiles, tile rows, tile columns) in g_lsb, in the order of the arrays.
    """
    columns = tile_columns(configuration, conductances, x.shape[1], outputs)
    return code_worth(configuration, high) * x @ columns


def code_worth(configuration, high):
    """Codes that one g_lsb gives at an input of 1."""
    crossbar = configuration.crossbar
    num, shift = (crossbar.verify_num, crossbar.verify_shift) if high else (crossbar.num, crossbar.shift)
    return configuration.unit_volt * num / 2.0**shift


def tile_columns(configuration, conductances, inputs, outputs):
    """Conductance of each output for each input, float64 (k, d): that of its pair, or less the reference's."""
    row_tiles, column_tiles = configuration.row_tiles(inputs), configuration.column_tiles(outputs)
    geometry = configuration.geometry
    shape = (row_tiles * column_tiles, geometry.tile_rows, geometry.tile_columns)
    cells = np.asarray(conductances)
    if cells.dtype.kind not in "iu":
        raise RefusedType(f"conductances must be integers, not {cells.dtype}")
    if cells.shape != shape:
        raise RefusedValue(f"conductances of a layer ({outputs}, {inputs}) must be of shape {shape}, not {cells.shape}")
    cells = cells.astype(np.float64)
    if configuration.crossbar.mapping == "differential":
        share = cells[:, :, 0::2] - cells[:, :, 1::2]
    else:
        share = cells[:, :, :-1] - cells[:, :, -1:]
    share = share.reshape(row_tiles, column_tiles, geometry.tile_rows, -1).transpose(0, 2, 1, 3)
    return share.reshape(row_tiles * geometry.tile_rows, -1)[:inputs, :outputs]


def measure(driver, layer, conductances, patterns=32, zeros=16):
    """The `Calibration` of ``layer`` (`operations.Layer`), read through ``driver`` (`driver.Driver`).

    ``conductances`` as programmed, as of `exact_sums`; ``patterns`` of them and as many opposites, and ``zeros`` reads
    of zeros. The layer's place in the calibration memory holds unit gains while it runs, and after. An output whose
    cells are all alike gets the median gain. Raises `OperationFault`, and a refusal where no input is small enough for
    the ADCs.
    """
    need_integer("patterns", patterns, 2, None)
    need_integer("zeros", zeros, 1, None)
    configuration, outputs = driver.configuration, layer.outputs
    layer = dataclasses.replace(layer, active=0)
    x = draw_patterns(configuration, conductances, layer, patterns)
    exact = exact_sums(configuration, conductances, x, outputs, layer.high)
    driver.set_calibration(np.ones(outputs, np.int64), np.zeros(outputs, np.int64), layer.calibration)
    rest = driver.forward(layer, np.zeros((zeros, layer.inputs), np.int64), shifts=Shifts(), crossbar=True)
    offset = rest.astype(np.float64).mean(axis=0)
    room = (1 << configuration.formats.output - 1) - 1
    w_shift = max(0, int(np.ceil(np.log2(1.25 * max(1.0, np.abs(exact).max()) / room))))
    read = driver.forward(layer, x, shifts=Shifts(w=w_shift), crossbar=True).astype(np.float64) * 2.0**w_shift
    common = x.sum(axis=1).astype(np.float64)
    slope, mismatch, residual = np.ones(outputs), np.zeros(outputs), np.zeros(outputs)
    for output in range(outputs):
        wanted, seen = exact[:, output], read[:, output] - offset[output]
        terms = np.stack([wanted, common], axis=1)
        if not wanted.any():
            slope[output] = np.nan
            continue
        (slope[output], mismatch[output]), *_ = np.linalg.lstsq(terms, seen, rcond=None)
        residual[output] = np.sqrt(np.mean((seen - terms @ (slope[output], mismatch[output])) ** 2))
    slope[np.isnan(slope)] = np.nanmedian(slope) if np.isfinite(slope).any() else 1.0
    return Calibration(offset, 1 / slope, mismatch, residual)


def draw_patterns(configuration, conductances, layer, patterns):
    """Input codes int64 (2 patterns, k) at plus and minus full scale, or at 0 where none may be negative."""
    low, high = configuration.crossbar.range_of(configuration.formats.activation)
    cells = np.asarray(conductances, dtype=np.float64)
    volts = configuration.amplitude if configuration.crossbar.streamed else configuration.crossbar.step * high
    worst = code_worth(configuration, layer.high) / configuration.unit_volt * volts * cells.sum(axis=1).max()
    end = MARGIN * (1 << configuration.crossbar.adc_bits - 1)
    share = min(1.0, end / worst) if worst else 1.0
    signs = np.random.default_rng(SEED).choice([-1, 1], (patterns, layer.inputs))
    if configuration.crossbar.streamed:
        # a plane's rows are at full amplitude, whatever the code: fewer of them, not smaller codes
        signs = signs * (np.random.default_rng(SEED + 1).random(signs.shape) < share)
        share = 1.0
    largest = int(share * min(high, -low) if low < 0 else share * high)
    if not largest or not signs.any():
        raise RefusedValue("conductances must be small enough for the ADCs at an input of 1, not give "
                           f"{worst:.0f} codes at {high}")
    signs = np.concatenate([signs, -signs])
    return largest * (signs if low < 0 else np.maximum(signs, 0))
