"""Tcl for Vivado: the chip as a packaged IP, and the ZC706 system around it."""

from rmdlora.golden.spec.registers import REGISTERS
from rmdlora.hdl.top import chip_members

from .files import render
from .registers import SVD_ACCESS, reset_words
from .verilog import MODULE
from .zc706 import PART, board_ports
from .zynq import CHIP_ADDRESS, CHIP_SIZE, DMA_SIZE, dma_engines

__all__ = ["IP", "clock_text", "package_text", "system_text"]

IP = f"{MODULE}:user:{MODULE}:1.0"      # vendor, library, name, version
DMA_LENGTH_BITS = 26                    # of a transfer: 64 MB, the most AXI DMA has (PG021)


def bus_ports(configuration):
    """``{bus: [(logical name, port)]}`` of the chip's AXI ports."""
    buses = {}
    for bus, member in chip_members(configuration).items():
        if member.is_signature:
            buses[bus] = [(signal.upper(), f"{bus}__{signal}") for signal in member.signature.members]
    return buses


def package_text(configuration):
    """Packages the Verilog as an IP with its interfaces and registers."""
    return render("package_ip.tcl.j2", configuration, "#", module=MODULE, ip=IP.split(":"), part=PART,
                  buses=bus_ports(configuration), registers=REGISTERS, resets=reset_words(configuration),
                  access=SVD_ACCESS, size=CHIP_SIZE)


def system_text(configuration):
    """The block design: processor, DMA engines, interrupts, the chip, the board's pins."""
    return render("zc706.tcl.j2", configuration, "#", ip=IP, part=PART, engines=dma_engines(configuration),
                  ports=board_ports(configuration), chip_address=CHIP_ADDRESS, chip_size=CHIP_SIZE, dma_size=DMA_SIZE,
                  length_bits=DMA_LENGTH_BITS)


def clock_text(configuration):
    """The clock, for a synthesis of the chip by itself."""
    return render("clock.xdc.j2", configuration, "#")
