import numpy as np
import pytest
from rmdlora.cosim.cocotb_lane import describe_configuration, run_bench
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.system import system_design
from rmdlora.golden import lora
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.read import read_layer
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.vectors import load_vectors, save_arrays
from use_chip import use


@pytest.fixture(scope="module")
def configuration():
    return load_configuration("tiny")


@pytest.fixture(scope="module")
def design(configuration):
    return system_design(configuration)


def write_vectors(folder, configuration, seed, trains):
    """A vector file and what the oracle says of it; their paths."""
    rng = np.random.default_rng(seed)
    n, k, d, r = 7, 9, 11, 5
    arrays = {"x": rng.integers(-128, 128, (n, k)), "a": rng.integers(-3000, 3000, (r, k)),
              "b": rng.integers(-3000, 3000, (d, r)), "c": rng.integers(-1 << 20, 1 << 20, (n, d)),
              "gain": rng.integers(-3000, 3000, d), "offset": rng.integers(-5000, 5000, d),
              "active": np.arange(r) != 2, "p_shift": 5, "u_shift": 9, "w_shift": 14}
    if trains:
        arrays |= {"g": rng.integers(-3000, 3000, (n, d)), "trainable": np.arange(r) > 2, "q_shift": 9, "dx_shift": 7,
                   "va_shift": 4, "vb_shift": 5, "lra_shift": 6, "lrb_shift": 5, "momentum_shift": 1, "batch": 4,
                   "seed": seed}
    vectors, expected = folder / "vectors.npz", folder / "expected.npz"
    np.savez(vectors, **arrays)
    save_arrays(expected, lora.run(load_vectors(vectors, configuration), configuration))
    return {"configuration": describe_configuration(configuration), "vectors": str(vectors), "expected": str(expected)}


@pytest.mark.parametrize(("trains", "stall"), [(False, 0), (True, 0), (True, 0.3)])
def test_a_vector_file_gives_what_the_oracle_says_at_the_pins(design, configuration, tmp_path, trains, stall):
    given = write_vectors(tmp_path, configuration, seed=11, trains=trains)
    noted = run_bench(design, "rmdlora.cosim.benches.vectors_bench", tmp_path / "run", given | {"stall": stall}, seed=3)
    assert {"y", "multipliers"} <= set(noted["compared"]) and noted["cycles_forward"] > 0
    assert ("va" in noted["compared"]) == trains


def test_a_layer_read_at_the_pins_is_the_oracles_whatever_is_passed_over(design, configuration, tmp_path):
    rng = np.random.default_rng(8)
    weights, x = rng.normal(size=(20, 30)), rng.integers(-128, 128, (3, 30))
    y = read_layer(map_weights(weights, configuration), x, 20, configuration)
    np.savez(tmp_path / "layer.npz", weights=weights, x=x, y=y)
    given = {"configuration": describe_configuration(configuration), "layer": str(tmp_path / "layer.npz")}
    passing, dwelling = (run_bench(design, "rmdlora.cosim.benches.tiles_bench", tmp_path / "run", given | {"dwell": by},
                                   seed=8) for by in (False, True))
    assert passing["conversions"] > 0
    assert passing["passed"] > passing["clocks"] / 4 and dwelling["passed"] == 0
    for name in ("clocks", "cycles", "conversions", "y_clocks"):
        assert passing[name] == dwelling[name]


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_waits_is_called_as_if_no_clock_were_passed_over(design, configuration, tmp_path, seed):
    given = {"configuration": describe_configuration(configuration)}
    passing, dwelling = (run_bench(design, "waits_bench", tmp_path, given | {"dwell": by}, seed)
                         for by in (False, True))
    assert passing["seen"] == dwelling["seen"]
    assert passing["passed"] > 1000 and dwelling["passed"] == 0


@pytest.mark.parametrize("given", [{"stall": 0.3, "patient": False}, {"stall": 0, "patient": True}],
                         ids=["stalls", "patient"])
def test_the_script_that_runs_on_the_board_gives_the_same_answers_at_the_pins(design, configuration, tmp_path, given):
    noted = run_bench(design, "use_chip_bench", tmp_path, given, seed=5)
    assert noted["found"] == use(NativeLane(configuration))
