"""Random AXI transactions with stalls and resets at the pins of the simulated chip: `make soak-axi`."""

import argparse
import pathlib
import sys
import tempfile

from rmdlora.golden.spec.configuration import load_configuration

from .cli import carry_out
from .cocotb_lane import BenchFailure, describe_configuration, run_bench
from .system import system_design

__all__ = ["run_traffic"]


def run_traffic(configuration, transactions, seed, folder):
    """What the bench counted (`benches.traffic_bench`), a dict. Raises `cocotb_lane.BenchFailure` at the first
    transaction that is not answered as it must be."""
    given = {"configuration": describe_configuration(configuration), "transactions": transactions, "stall": 0.9}
    return run_bench(system_design(configuration), "rmdlora.cosim.benches.traffic_bench", folder, given, seed=seed)


def main():
    """Run and print the counts; exit status 1 where a transaction went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000, help="how many, at least (default 10000)")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default 1)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rmdlora-") as folder:
        try:
            counts = run_traffic(load_configuration("tiny"), arguments.transactions, arguments.seed,
                                 pathlib.Path(folder))
        except BenchFailure as failure:
            print(f"differs: {failure}")
            return 1
    for name, count in counts.items():
        print(f"{count:8,}  {name.replace('_', ' ')}")
    print(f"agreed: seed {arguments.seed}, every transaction answered as documented, every reset recovered from")
    return 0


if __name__ == "__main__":
    sys.exit(carry_out(main))
