"""The rank lanes' random generators: xorshift32, many steps at once.

A step is a linear map of 32 bits over GF(2), so 2**i steps are one too: a matrix, squared i times. Kept as four tables
of 256 words, a byte of the state each, it doubles the part of a sequence that is known, for every lane at once.
"""

import functools

import torch

from .spec.formats import lane_seed, xorshift32

__all__ = ["draw", "seed_generators"]


def seed_generators(seed, rank, device=None):
    """First states of ``rank`` lanes' generators: int64 (rank,), each 1 .. 2**32 - 1."""
    return torch.tensor([lane_seed(seed, lane) for lane in range(rank)], dtype=torch.int64, device=device)


def draw(states, count):
    """The next ``count`` states of every generator, in order: int64 (lanes, count); the last is where it stands."""
    drawn = torch.empty(len(states), count, dtype=torch.int64, device=states.device)
    drawn[:, 0] = jump(states, 0)
    known, power = 1, 0
    while known < count:
        part = min(known, count - known)
        drawn[:, known:known + part] = jump(drawn[:, :part], power)
        known += part
        power += 1
    return drawn


def jump(states, power):
    """``states`` after 2**``power`` steps each."""
    tables = jump_tables(power, states.device)
    return (tables[0][states & 255] ^ tables[1][states >> 8 & 255]
            ^ tables[2][states >> 16 & 255] ^ tables[3][states >> 24])


@functools.cache
def jump_tables(power, device):
    """int64 (4, 256): what each byte of a state becomes after 2**``power`` steps."""
    columns = jump_columns(power)
    return torch.tensor([[apply(columns, byte << 8 * place) for byte in range(256)] for place in range(4)],
                        device=device)


@functools.cache
def jump_columns(power):
    """Images of the 32 unit vectors under 2**``power`` steps."""
    if power == 0:
        return tuple(xorshift32(1 << bit) for bit in range(32))
    half = jump_columns(power - 1)
    return tuple(apply(half, column) for column in half)


def apply(columns, state):
    """The linear map of ``columns`` applied to one state."""
    image = 0
    for bit, column in enumerate(columns):
        if state >> bit & 1:
            image ^= column
    return image
