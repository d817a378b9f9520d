"""One simulator of `rmdlora bench array`, in a process of its own: ``python -m rmdlora.cosim.measure.reading NAME``.

It reads `TILES` tiles of 32 x 32 cells, `VECTORS` vectors each, once for every line of its standard input (``ideal``
or ``noisy``), and answers with a line of JSON: the seconds that took. Its first line says its version, or why it
cannot. The work is the same for all: 8-bit inputs, 32 rows, 32 columns converted to 14 bits. Noisy: a read noise of
the cells of 0.25 % and one of the converter of 0.55 of its steps. What the noise is made of is each simulator's own.

* rmdlora: `cosim.array.Array`, preset `taox`'s noise; all tiles in one call.
* rmdlora-numpy: the same without the kernel in C++.
* aihwkit: an inference tile a tile, ``InferenceRPUConfig`` (its C++), 32 signed weights a column; the noise of the
  cells is additive and constant (``w_noise``), the simplest it has.
* aihwkit-torch: ``TorchInferenceRPUConfig``; it has no noise of the cells, so it is spared that.
* crosssim: an ``AnalogCore`` a tile, 16 signed outputs in balanced pairs, both columns converted; its normal noise in
  proportion to the conductance, drawn cell by cell.

Each checks its ideal answers against the exact product first: within 1 % of the largest.
"""

import json
import os
import sys
import time

import numpy as np

__all__ = ["SIMULATORS", "TILES", "VECTORS"]

TILES, VECTORS, SIDE = 16, 256, 32
READ_NOISE, FLOOR_LSB = 0.0025, 0.55
ADC_BITS, INPUT_BITS = 14, 8


def given(outputs):
    """``(weights, inputs)``: (TILES, outputs, 32) and (TILES, 32, VECTORS), real, -1..1."""
    generator = np.random.default_rng(1)
    return generator.uniform(-1, 1, (TILES, outputs, SIDE)), generator.uniform(-1, 1, (TILES, SIDE, VECTORS))


def need_product(answers, weights, inputs):
    """Raise unless ``answers`` (TILES, outputs, VECTORS) are the products."""
    exact = weights @ inputs
    worst = np.abs(answers - exact).max() / np.abs(exact).max()
    if worst > 0.01:
        raise ArithmeticError(f"its answers are off by {100 * worst:.1f} % of the largest")


def rmdlora(native=True):
    """Ours."""
    from rmdlora.golden.spec.configuration import load_configuration
    from rmdlora.golden.spec.presets import PRESETS, Preset

    from .. import array as module

    if not native:
        module.find_kernel = lambda: None
    elif module.find_kernel() is None:
        raise ImportError("its kernel needs g++")
    configuration = load_configuration("default")
    weights, inputs = given(SIDE // 2)
    noisy = Preset(read=PRESETS["taox"].read, floor=PRESETS["taox"].floor)
    arrays = {"ideal": module.Array(configuration, TILES), "noisy": module.Array(configuration, TILES, noisy)}
    tiles = np.arange(TILES)
    for array in arrays.values():
        for tile, matrix in enumerate(weights):
            array.load(matrix, tile)
    codes = np.rint(inputs * 127).astype(np.int64).transpose(0, 2, 1)
    volts = np.ascontiguousarray(configuration.crossbar.step * codes)
    answers = arrays["ideal"].read(tiles, volts).astype(np.float64)
    pairs = answers[..., 0::2] - answers[..., 1::2]
    largest = np.abs(weights).max(axis=(1, 2), keepdims=True)
    unit = configuration.crossbar.num * 2.0 ** -configuration.crossbar.shift * configuration.crossbar.step * 127 * 7000
    need_product(pairs.transpose(0, 2, 1) / unit * largest, weights, inputs)
    runs = {name: (lambda array=array: array.read(tiles, volts)) for name, array in arrays.items()}
    return f"numpy {np.__version__}" + (", kernel in C++" if native else ""), runs


def aihwkit(torch_tile=False):
    """IBM's AIHWKit."""
    import torch
    from aihwkit.simulator.configs import InferenceRPUConfig, TorchInferenceRPUConfig
    from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType, WeightNoiseType
    from aihwkit.version import __version__

    torch.set_num_threads(1)
    weights, inputs = given(SIDE)
    x = torch.tensor(inputs.transpose(0, 2, 1), dtype=torch.float32)
    bound = float(np.abs(weights @ inputs).max())
    runs = {}
    for name in ("ideal", "noisy"):
        config = TorchInferenceRPUConfig() if torch_tile else InferenceRPUConfig()
        forward = config.forward
        forward.inp_res, forward.out_res = 1 / (2 ** INPUT_BITS - 2), 1 / (2 ** ADC_BITS - 2)
        forward.inp_bound, forward.out_bound = 1.0, bound
        forward.noise_management, forward.bound_management = NoiseManagementType.NONE, BoundManagementType.NONE
        forward.out_noise = FLOOR_LSB * 2 * bound / 2 ** ADC_BITS if name == "noisy" else 0.0
        forward.w_noise, forward.w_noise_type = 0.0, WeightNoiseType.NONE
        if name == "noisy" and not torch_tile:
            forward.w_noise, forward.w_noise_type = READ_NOISE, WeightNoiseType.ADDITIVE_CONSTANT
        tiles = [config.get_default_tile_module_class(SIDE, SIDE)(SIDE, SIDE, config) for _ in range(TILES)]
        for tile, matrix in zip(tiles, weights, strict=True):
            tile.set_weights(torch.tensor(matrix, dtype=torch.float32))
            tile.eval()

        def run(tiles=tiles):
            with torch.no_grad():
                return [tile.forward(vectors) for tile, vectors in zip(tiles, x, strict=True)]

        runs[name] = run
    need_product(torch.stack(runs["ideal"]()).numpy().transpose(0, 2, 1), weights, inputs)
    return f"{__version__}, torch {torch.__version__}", runs


def crosssim():
    """Sandia's CrossSim, from a checkout."""
    if os.environ.get("RMDLORA_CROSSSIM"):
        sys.path.insert(0, os.environ["RMDLORA_CROSSSIM"])
    from simulator import AnalogCore, CrossSimParameters

    weights, inputs = given(SIDE // 2)
    runs = {}
    for name in ("ideal", "noisy"):
        parameters = CrossSimParameters()
        parameters.core.style = "BALANCED"
        parameters.core.balanced.interleaved_posneg = False
        parameters.core.balanced.subtract_current_in_xbar = False
        parameters.core.rows_max = parameters.core.cols_max = SIDE
        parameters.core.mapping.inputs.mvm.min, parameters.core.mapping.inputs.mvm.max = -1, 1
        parameters.core.mapping.weights.percentile = 100.0
        device = parameters.xbar.device
        device.infinite_on_off_ratio, device.Rmin, device.Rmax = False, 12_500, 100_000
        parameters.xbar.dac.mvm.model, parameters.xbar.dac.mvm.bits = "QuantizerDAC", INPUT_BITS
        adc = parameters.xbar.adc.mvm
        adc.model, adc.bits, adc.adc_range_option = "QuantizerADC", ADC_BITS, "MAX"
        if name == "noisy":
            device.read_noise.enable, device.read_noise.model = True, "NormalProportionalDevice"
            device.read_noise.magnitude = READ_NOISE
        cores = [AnalogCore(matrix, parameters) for matrix in weights]

        def run(cores=cores):
            return [core.matmat(vectors) for core, vectors in zip(cores, inputs, strict=True)]

        runs[name] = run
    need_product(np.array(runs["ideal"]()), weights, inputs)
    return checkout_version(), runs


def checkout_version():
    """What CrossSim's project file says it is."""
    import pathlib
    import tomllib

    import simulator

    project = pathlib.Path(simulator.__file__).parents[1] / "pyproject.toml"
    return tomllib.loads(project.read_text())["project"]["version"] if project.is_file() else "unknown"


SIMULATORS = {
    "rmdlora": rmdlora, "rmdlora-numpy": lambda: rmdlora(native=False), "aihwkit": aihwkit,
    "aihwkit-torch": lambda: aihwkit(torch_tile=True), "crosssim": crosssim}


def serve(name):
    """Answer standard input, line by line, as the module says."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)       # what a simulator prints is no answer
    try:
        version, runs = SIMULATORS[name]()
    except Exception as problem:    # whatever a foreign package raises: it is then not measured, and the reason shown
        print(json.dumps({"missing": f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:200]}),
              file=answers, flush=True)
        return
    print(json.dumps({"version": version}), file=answers, flush=True)
    for line in sys.stdin:
        run = runs[line.strip()]
        start = time.perf_counter()
        run()
        print(json.dumps(time.perf_counter() - start), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
