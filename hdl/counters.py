"""The counters of clocks and operations."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import Fault, Kind

__all__ = ["Counters"]


class Counters(wiring.Component):
    """Counts clocks and operations; ``clear`` puts every count to 0.

    Members
    -------
    running : the LoRA unit runs an operation of ``kind`` in this clock; counted under that kind (contract, section 6).
    ended : an operation ends, or is refused, in this clock.
    fault : why it ended, `Fault.NONE` if it ran. updates, erasures : operations of these kinds that ran.
    forward, backward, update : clocks of operations of each kind. clocks : all clocks. completed : operations ended.
    """

    def __init__(self):
        super().__init__({"running": In(1), "kind": In(3), "ended": In(1), "clear": In(1), "completed": Out(32),
                          "clocks": Out(64), "forward": Out(64), "backward": Out(64), "update": Out(64),
                          "fault": In(8), "updates": Out(32), "erasures": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.clocks.eq(self.clocks + 1), self.completed.eq(self.completed + self.ended)]
        kinds = {Kind.FORWARD: self.forward, Kind.BACKWARD: self.backward, Kind.UPDATE: self.update}
        for kind, count in kinds.items():
            with m.If(self.running & (self.kind == kind)):
                m.d.sync += count.eq(count + 1)
        for kind, count in ((Kind.UPDATE, self.updates), (Kind.ERASE, self.erasures)):
            with m.If(self.ended & (self.fault == Fault.NONE) & (self.kind == kind)):
                m.d.sync += count.eq(count + 1)
        with m.If(self.clear):
            m.d.sync += [count.eq(0) for count in (self.clocks, self.completed, *kinds.values(), self.updates,
                                                   self.erasures)]
        return m
