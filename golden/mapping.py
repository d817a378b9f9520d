"""Weights to conductances: how a layer's frozen matrix lies in tiles, in integers (contract, section 5)."""

import numpy as np

from .spec.refusal import RefusedValue

__all__ = ["map_weights", "weight_scale"]


def weight_scale(weights, configuration):
    """``s``: conductance in uS a unit of weight, one a layer; 0 where every weight is 0."""
    largest = float(np.abs(weights).max())
    device = configuration.device
    return (device.g_max_us - device.g_mid_us) / largest if largest else 0.0


def map_weights(weights, configuration):
    """Target conductances of a layer, in units of ``g_lsb``.

    ``weights`` real (d, k) -> int64 (row tiles x column tiles, tile rows, tile columns), in the order in which the
    sequencer numbers its arrays: row tile major. Inputs are rows. ``differential``: columns 2o, 2o + 1 of a tile are
    g_mid + s W and g_mid - s W of its output o; ``reference``: column o is g_mid + s W, the last column g_mid. Cells
    without a weight stand at g_mid. Raises a refusal for weights that are not finite.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise RefusedValue(f"weights must be a finite matrix (outputs, inputs), not {weights.dtype} {weights.shape}")
    device, geometry = configuration.device, configuration.geometry
    outputs, inputs = weights.shape
    row_tiles, column_tiles = configuration.row_tiles(inputs), configuration.column_tiles(outputs)
    swing = np.zeros((row_tiles * geometry.tile_rows, column_tiles * configuration.tile_outputs))
    swing[:inputs, :outputs] = weight_scale(weights, configuration) * weights.T
    swing = swing.reshape(row_tiles, geometry.tile_rows, column_tiles, configuration.tile_outputs).transpose(0, 2, 1, 3)
    target = np.full((row_tiles, column_tiles, geometry.tile_rows, geometry.tile_columns), device.g_mid_us)
    if configuration.crossbar.mapping == "differential":
        target[..., 0::2] += swing
        target[..., 1::2] -= swing
    else:
        target[..., :-1] += swing
    target = np.clip(target, device.g_min_us, device.g_max_us)
    return np.rint(target / device.g_lsb_us).astype(np.int64).reshape(-1, geometry.tile_rows, geometry.tile_columns)
