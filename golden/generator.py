"""The rank lanes' random generators: xorshift32, many steps at once.

A step is a linear map of 32 bits over GF(2), so 2**i steps are one too: a matrix, squared i times, kept as four tables
of 256 words, one for each byte of the state. A long sequence is cut into stretches; their starts are reached by such
jumps, and then all stretches of all lanes step side by side.
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
    power = ((count - 1).bit_length() + 1) // 2         # stretches of 2**power steps, about as many as they are long
    stretches = -(-count >> power)
    starts = states[:, None]                            # (lanes, stretches)
    for doubling in range((stretches - 1).bit_length()):
        starts = torch.cat([starts, jump(starts, power + doubling)], dim=1)
    state = starts[:, :stretches].contiguous()
    drawn = torch.empty(1 << power, *state.shape, dtype=torch.int64, device=states.device)
    for place in drawn:
        state = state ^ (state << 13 & 0xFFFFFFFF)
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        place.copy_(state)
    return drawn.permute(1, 2, 0).reshape(len(states), -1)[:, :count]


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
