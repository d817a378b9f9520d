"""`rmdlora bench oracle`: the bit-exact oracle beside the float network it stands for, interleaved in one run.

The speaker task's fc1 (512 x 140) and fc1h (512 x 512) at rank 8. The oracle has the crossbar sums `c` given, as the
array delivers them; the float layer computes its dense product and its adapter in float32.
"""

import statistics
import time

import torch
from rmdlora.golden.lora import Layer, Shifts, forward

__all__ = ["measure_oracle"]

LAYERS = ((512, 140), (512, 512))
RANK = 8


def codes(generator, bits, *shape):
    """Random codes of ``bits`` bits."""
    return torch.randint(-1 << (bits - 1), 1 << (bits - 1), shape, generator=generator)


def build(outputs, inputs, batch, generator):
    """``(oracle call, float call)`` of one layer."""
    layer = Layer(codes(generator, 16, RANK, inputs), codes(generator, 16, outputs, RANK),
                  gain=codes(generator, 16, outputs), offset=codes(generator, 32, outputs),
                  shifts=Shifts(p=12, u=14, w=20))
    x, c = codes(generator, 8, batch, inputs), codes(generator, 32, batch, outputs)
    weights, a, b, values = (torch.randn(shape, generator=generator) for shape in (
        (outputs, inputs), (RANK, inputs), (outputs, RANK), (batch, inputs)))
    return lambda: forward(layer, x, c), lambda: values @ weights.T + (values @ a.T) @ b.T


def measure_oracle(batch=1024, rounds=31):
    """The flat figures: ``oracle_over_float`` (medians, interleaved) as torch is set up, the same with one thread, and
    what both were measured on.
    """
    generator = torch.Generator().manual_seed(1)
    layers = [build(*sizes, batch, generator) for sizes in LAYERS]
    threads = torch.get_num_threads()
    oracle, float32 = measure(layers, rounds)
    torch.set_num_threads(1)
    single_oracle, single_float32 = measure(layers, rounds)
    torch.set_num_threads(threads)
    return {"oracle_over_float": oracle / float32, "oracle_seconds": oracle, "float_seconds": float32, "batch": batch,
            "rounds": rounds, "threads": threads, "oracle_over_float_1_thread": single_oracle / single_float32,
            "layers": "speaker fc1 512x140 + fc1h 512x512, rank 8"}


def measure(layers, rounds):
    """``(oracle, float)``: median seconds of all ``layers``, one after the other in turn, of ``rounds``."""
    times = {"oracle": [], "float": []}
    for _ in range(rounds + 3):
        for name, index in (("oracle", 0), ("float", 1)):
            start = time.perf_counter()
            for layer in layers:
                layer[index]()
            times[name].append(time.perf_counter() - start)
    return tuple(statistics.median(values[3:]) for values in times.values())
