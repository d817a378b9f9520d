"""Where the chip and its DMA engines lie in a Zynq-7000: what block design, device tree, headers and driver agree on.

The processor reaches them through M_AXI_GP0 (0x40000000 .. 0x7FFFFFFF, UG585 table 4-1). Every stream has a DMA engine
of its own, in its simple mode (PG021): operands and results of one operation are on their way together.
"""

import dataclasses

from rmdlora.golden.spec.formats import container_bits
from rmdlora.golden.spec.registers import ADDRESS_BITS

__all__ = ["CHIP_ADDRESS", "CHIP_SIZE", "DMA_SIZE", "Engine", "dma_engines", "first_interrupt"]

CHIP_ADDRESS, CHIP_SIZE = 0x4000_0000, 1 << ADDRESS_BITS
DMA_ADDRESS, DMA_SIZE = 0x4400_0000, 0x1_0000
WIDEST = 1024           # bits of a stream that AXI DMA takes (PG021)
NARROWEST = 8
SHARED_INTERRUPT = 61   # IRQ_F2P[0] in the interrupt controller (UG585 table 7-4)
PRIVATE_INTERRUPTS = 32     # a device tree counts shared ones from here


@dataclasses.dataclass(frozen=True)
class Engine:
    """A DMA engine: ``name`` of its cell, the chip's ``stream`` by its last part, byte ``address`` of its registers,
    ``bits`` of its stream, whether it ``sends`` to the chip, and its input of the interrupt concatenation."""

    name: str
    stream: str
    address: int
    bits: int
    sends: bool
    interrupt: int

    @property
    def port(self):
        """The chip's stream port."""
        return f"{'s' if self.sends else 'm'}_axis_{self.stream}"

    @property
    def memory_bits(self):
        """Width of its memory port: at least 32, and no narrower than the stream."""
        return max(32, self.bits)


def dma_engines(configuration):
    """The `Engine` of each stream of a configuration's chip, in its own order; input 0 is the chip's own."""
    engines = []
    for index, (port, key) in enumerate(configuration.streams.items()):
        stream = port.rpartition("_")[2]
        bits = configuration.lora.beat_elements * container_bits(getattr(configuration.formats, key))
        engines.append(Engine(f"dma_{stream}", stream, DMA_ADDRESS + index * DMA_SIZE, bits, port.startswith("s_"),
                              index + 1))
    return tuple(engines)


def first_interrupt():
    """The chip's interrupt as a device tree counts it: shared peripheral interrupts from 0."""
    return SHARED_INTERRUPT - PRIVATE_INTERRUPTS
