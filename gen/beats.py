"""Matrices as beats of the streams, and elements as places in the buffer: `golden.spec.geometry`, on whole arrays."""

import numpy as np
from rmdlora.golden.spec.formats import container_bits
from rmdlora.golden.spec.geometry import ceil_div

__all__ = ["adapter_elements", "beat_type", "pack_beats", "unpack_beats"]


def beat_type(configuration, stream):
    """The numpy type of an element of a stream's beats; ``stream`` by the last part of its name: ``"x"``."""
    key = next(key for name, key in configuration.streams.items() if name.endswith(f"_{stream}"))
    return np.dtype(f"<i{container_bits(getattr(configuration.formats, key)) // 8}")


def pack_beats(codes, lanes, kind):
    """Beats ``(blocks * groups, beat_elements)`` of type ``kind`` from ``codes`` ``(n, positions)``; padding is 0."""
    n, positions = codes.shape
    blocks, groups = lanes.blocks(n), lanes.groups(positions)
    padded = np.zeros((blocks * lanes.vectors, groups * lanes.rows), kind)
    padded[:n, :positions] = codes
    beats = padded.reshape(blocks, lanes.vectors, groups, lanes.rows).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(beats).reshape(blocks * groups, lanes.beat_elements)


def unpack_beats(beats, lanes, vectors, positions):
    """Codes ``(vectors, positions)``, of the type of ``beats`` ``(blocks * groups, beat_elements)``."""
    blocks, groups = lanes.blocks(vectors), lanes.groups(positions)
    ordered = beats.reshape(blocks, groups, lanes.vectors, lanes.rows).transpose(0, 2, 1, 3)
    return ordered.reshape(blocks * lanes.vectors, groups * lanes.rows)[:vectors, :positions]


def adapter_elements(layout):
    """Where every element lies among the buffer's: ``(rank, inputs)`` for A and ``(outputs, rank)`` for B, int64.

    `golden.spec.geometry.Layout.a_element` and ``b_element`` for all of them at once.
    """
    lanes = layout.lanes
    rank = np.arange(layout.rank)

    def places(positions):
        position = np.arange(positions)[:, None]    # (positions, 1) against (rank,)
        word = position // lanes.rows * ceil_div(layout.rank, lanes.lanes) + rank // lanes.lanes
        return word * lanes.row_elements + position % lanes.rows * lanes.lanes + rank % lanes.lanes

    base = layout.base * lanes.row_elements
    return base + places(layout.inputs).T, base + layout.a_words * lanes.row_elements + places(layout.outputs)
