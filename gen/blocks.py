"""Parts of the chip that stand on their own, with the ports they have in it."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from rmdlora.hdl.buffer import Buffer
from rmdlora.hdl.lora import LoraUnit

__all__ = ["LoraBlock"]


class LoraBlock(wiring.Component):
    """The LoRA unit on its buffer. Members: those of `LoraUnit` and of `Buffer`, but for the rows between them."""

    def __init__(self, configuration):
        self.unit, self.buffer = LoraUnit(configuration), Buffer(configuration)
        super().__init__({name: member for part in (self.unit, self.buffer)
                          for name, member in part.signature.members.items() if name != "rows"})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit, m.submodules.buffer = self.unit, self.buffer
        wiring.connect(m, self.unit.rows, self.buffer.rows)
        for part in (self.unit, self.buffer):
            for name, member in part.signature.members.items():
                outer, inner = getattr(self, name, None), getattr(part, name)
                if name == "rows":
                    continue
                if member.is_signature:
                    wiring.connect(m, wiring.flipped(outer), inner)
                else:
                    m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)
        return m
