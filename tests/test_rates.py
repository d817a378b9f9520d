from rmdlora.cosim.measure.rates import measure_rates
from rmdlora.golden.spec.configuration import load_configuration


def test_both_lanes_are_measured_on_the_same_checked_reads():
    figures = measure_rates(load_configuration("tiny"), vectors=2, repeats=1)
    for name in ("cocotb_cycles_per_second", "native_cycles_per_second"):
        for checks in ("", "_unchecked"):
            assert figures[f"{name}{checks}"] > 1000 and figures[f"{name}{checks}_of_processor"] > 1000
    assert figures["native_dwelling_cycles_per_second"] > 1000 and 0.2 < figures["native_passed"] < 0.7
    assert figures["native_lora_cycles_per_second"] > 1000
    assert figures["conversions"] == 2 * load_configuration("tiny").board.positions
    assert figures["configuration"] == "tiny" and figures["tile_reads"] == 2 and figures["clocks"] > 2 * 8064
