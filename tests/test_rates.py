from rmdlora.cosim.measure.rates import measure_rates
from rmdlora.golden.spec.configuration import load_configuration


def test_both_lanes_are_measured_on_the_same_checked_reads():
    figures = measure_rates(load_configuration("tiny"), vectors=2, repeats=1)
    for name in ("cocotb_cycles_per_second", "native_cycles_per_second", "native_lora_cycles_per_second"):
        assert figures[name] > 1000
    assert figures["configuration"] == "tiny" and figures["tile_reads"] == 2 and figures["clocks"] > 2 * 8064
