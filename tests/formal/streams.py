"""Streams at the ports: what is offered stays until it is taken."""

from amaranth.hdl import Assert, Assume, Cover, Signal

from .prove import driven, holds_until_taken

__all__ = ["axi_lite", "results"]


def axi_lite(m, slave, fragment):
    """Responses and accesses of `AxiLiteSlave`; no access is made whose response would meet one that waits."""
    axi, access = slave.axi, slave.access
    holds_until_taken(m, axi.bvalid, axi.bready, [axi.bresp])
    holds_until_taken(m, axi.rvalid, axi.rready, [axi.rdata, axi.rresp])
    holds_until_taken(m, access.valid, access.ready, [access.write, access.address, access.w_data])
    m.d.comb += [Assert(~(access.valid & access.write & axi.bvalid)),
                 Assert(~(access.valid & ~access.write & axi.rvalid)),
                 Cover(axi.bvalid & axi.rvalid)]


def results(m, queue, fragment):
    """`Results`, to which at most ``depth`` beats more are written than have left, keeps every one of them."""
    depth = queue.bank.depth
    handed = queue.o.valid & queue.o.ready
    kept = Signal(range(depth + 2))
    m.d.sync += kept.eq(kept + queue.write - handed)
    m.d.comb += [Assume((kept < depth) | ~queue.write), Assert(kept <= depth), Cover(kept == depth),
                 Assert(kept == driven(fragment, "level") + queue.o.valid)]
    holds_until_taken(m, queue.o.valid, queue.o.ready, [queue.o.payload])
