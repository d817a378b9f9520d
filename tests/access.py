"""Reads and writes at an `AccessPort`, for benches in the Amaranth simulator."""

from amaranth.sim import Simulator

__all__ = ["access", "simulate"]

PATIENCE = 100      # clocks an access may take


async def access(ctx, port, address, word=None):
    """Write ``word`` to ``address``, or read it (None): ``(word read, error)``."""
    ctx.set(port.valid, 1)
    ctx.set(port.write, word is not None)
    ctx.set(port.address, address)
    ctx.set(port.w_data, word or 0)
    for _ in range(PATIENCE):
        _, _, ready, found, error = await ctx.tick().sample(port.ready, port.r_data, port.error)
        if ready:
            ctx.set(port.valid, 0)
            return found, error
    raise AssertionError(f"no answer to an access of {address:#x} within {PATIENCE} clocks")


def simulate(top, bench):
    """Run one bench on a clocked component."""
    simulator = Simulator(top)
    simulator.add_clock(10e-9)
    simulator.add_testbench(bench)
    simulator.run()
