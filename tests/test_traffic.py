"""Random AXI transactions at the pins, with stalls, operations and resets; `make soak-axi` is the long one."""

from rmdlora.cosim.traffic import run_traffic
from rmdlora.golden.spec.configuration import load_configuration


def test_random_transactions_are_answered_as_documented_and_every_reset_recovers(tmp_path):
    counts = run_traffic(load_configuration("tiny"), 1200, 2, tmp_path)
    assert counts["transactions"] >= 1200
    for name in ("resets", "soft_resets", "write_misaligned", "read_misaligned", "write_partial", "read_nowhere",
                 "write_nowhere", "write_constant", "operation_run", "operation_illegal", "operation_time-out",
                 "operation_starving", "operation_blocked", "operation_full"):
        assert counts[name] > 0, name
