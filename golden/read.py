"""The oracle of a crossbar read (contract, section 5): conductances and activation codes to crossbar sums, in integers.

``n`` vectors, ``k`` inputs, ``d`` outputs. A layer's tiles lie as `mapping.map_weights` gives them: row tile major,
int64 (tiles, tile rows, tile columns) in units of g_lsb. Voltages are in steps of the DAC about the virtual ground,
currents in DAC steps x g_lsb. Bipolar reading, one phase: a voltage an input, or one bit plane of the inputs a pass at
the full read amplitude. Noise comes in as integers, of every tile and every pass.
"""

import numpy as np

from .spec.refusal import RefusedType, RefusedValue

__all__ = ["combine_codes", "read_layer", "read_tile"]

DAC_CODES = 1 << 15     # either side of mid-scale


def read_layer(conductances, x, outputs, configuration, noise=None, high=False):
    """Crossbar sums ``c`` int64 (n, d) of activation codes ``x`` (n, k).

    ``noise``: None, or integers in units of the current sum: (n, tiles, tile columns), of a streamed read (n, passes,
    tiles, tile columns). ``high``: read in the high gain range. Raises a refusal for tiles that are too few or too many
    for the layer, and for activations that cannot be presented.
    """
    geometry = configuration.geometry
    x = need_integers("x", x, 2)
    vectors, inputs = x.shape
    passes = configuration.passes
    if x.size:
        configuration.check_activations((int(x.min()), int(x.max())))
    row_tiles, column_tiles = configuration.row_tiles(inputs), configuration.column_tiles(outputs)
    tiles = need_integers("conductances", conductances, 3)
    wanted = (row_tiles * column_tiles, geometry.tile_rows, geometry.tile_columns)
    if tiles.shape != wanted:
        raise RefusedValue(f"conductances of a layer ({outputs}, {inputs}) must be of shape {wanted}, "
                           f"not {tiles.shape}")
    rows = np.zeros((vectors, row_tiles * geometry.tile_rows), dtype=np.int64)      # rows past the layer stay at 0 V
    rows[:, :inputs] = x
    rows = rows.reshape(vectors, row_tiles, geometry.tile_rows)
    c = np.zeros((vectors, column_tiles * configuration.tile_outputs), dtype=np.int64)
    for row_tile in range(row_tiles):
        sums = []
        for column_tile in range(column_tiles):
            tile = row_tile * column_tiles + column_tile
            own = None if noise is None else noise[..., tile, :]
            if passes:
                sums.append(read_planes(tiles[tile], rows[:, row_tile], configuration, own, high))
            else:
                codes = read_tile(tiles[tile], rows[:, row_tile], configuration, own, high)
                sums.append(combine_codes(codes, configuration.crossbar.mapping))
        c += np.concatenate(sums, axis=1)
    return c[:, :outputs]


def read_planes(conductances, x, configuration, noise, high):
    """What one tile adds to its outputs (n, tile outputs), plane by plane: ``c = 2 c + plane`` from the most
    significant on, in whatever order they were read."""
    volt = need_volts(configuration.amplitude, np.ones(1, dtype=np.int64))
    planes = {}
    for index, plane in enumerate(configuration.passes):
        own = None if noise is None else noise[:, index]
        codes = combine_codes(convert(conductances, volt * plane.of(x), configuration, own, high),
                              configuration.crossbar.mapping)
        planes[plane.bit] = planes.get(plane.bit, 0) + (-codes if plane.subtracted else codes)
    c = 0
    for bit in sorted(planes, reverse=True):
        c = 2 * c + planes[bit]
    return c


def read_tile(conductances, x, configuration, noise=None, high=False):
    """ADC codes int64 (n, columns) of one tile, an input a voltage.

    ``conductances`` (rows, columns), ``x`` (n, rows), ``noise`` None or (n, columns), all integers. Raises a
    refusal where a voltage lies outside the DAC.
    """
    return convert(conductances, need_volts(configuration.crossbar.step, need_integers("x", x, 2)), configuration,
                   noise, high)


def convert(conductances, volts, configuration, noise=None, high=False):
    """ADC codes int64 (n, columns) of one tile with its rows at ``volts`` (n, rows), in DAC steps."""
    crossbar = configuration.crossbar
    conductances, voltages = need_integers("conductances", conductances, 2), need_integers("volts", volts, 2)
    num, shift = (crossbar.verify_num, crossbar.verify_shift) if high else (crossbar.num, crossbar.shift)
    reach = int(np.abs(voltages).max(initial=0)) * int(np.abs(conductances).sum(axis=0).max(initial=0))
    reach += int(np.abs(noise).max(initial=0)) if noise is not None else 0
    # past 63 bits, Python's own integers: slow, and right
    kind = np.int64 if reach * num + (1 << shift) < 1 << 63 else object
    currents = voltages.astype(kind) @ conductances.astype(kind)                    # (n, columns)
    if noise is not None:
        currents = currents + need_integers("noise", noise, 2).astype(kind)
    codes = currents * num
    if shift:
        whole = codes >> shift
        rest = codes - (whole << shift)
        half = 1 << (shift - 1)
        codes = whole + ((rest > half) | ((rest == half) & (whole & 1 == 1))).astype(kind)
    end = 1 << (crossbar.adc_bits - 1)
    return np.clip(codes, -end, end - 1).astype(np.int64)


def combine_codes(codes, mapping):
    """What the codes (n, columns) of a tile add to its outputs: (n, tile outputs)."""
    if mapping == "differential":
        return codes[:, 0::2] - codes[:, 1::2]
    return codes[:, :-1] - codes[:, -1:]


def need_volts(step, x):
    """Voltages ``step * x`` in DAC steps; refuses any outside the DAC."""
    largest = int(np.abs(x).max(initial=0)) * step
    if largest >= DAC_CODES:
        raise RefusedValue(f"crossbar.step x the largest activation must be below {DAC_CODES} DAC steps, not {largest}")
    return step * x


def need_integers(thing, array, dimensions):
    """``array`` as int64; refuses another kind or number of dimensions."""
    array = np.asarray(array)
    if array.dtype.kind not in "iu":
        raise RefusedType(f"{thing} must be integers, not {array.dtype}")
    if array.ndim != dimensions:
        raise RefusedValue(f"{thing} must have {dimensions} dimensions, not {array.ndim}")
    return array.astype(np.int64)
