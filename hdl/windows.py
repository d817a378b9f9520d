"""Which addresses are registers and which are the buffer's memories, and the 64-bit elements of the latter."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.registers import ADDRESS_BITS, window

from .axi import AccessPort
from .buffer import HostPort, Space

__all__ = ["Windows"]


class Windows(wiring.Component):
    """Sends accesses below the windows to the registers, those of the cells to the crossbar, and those of the other
    windows to the buffer, element by element.

    An element wider than a word (state, offset) is written low word first: that word is held, the high word's write
    stores both. Reading the low word holds the high one for the next read. The two holds are one each for all windows.
    A place with no element (past the end of the memory, or the word between gain and offset) is an error. An access
    takes the buffer's time, a held word 1 clock.

    Parameters
    ----------
    configuration : Configuration

    Members
    -------
    access : everything. registers : what lies below the windows. cells : a map's cells. host : the buffer.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        super().__init__({"access": In(AccessPort(ADDRESS_BITS)), "registers": Out(AccessPort(ADDRESS_BITS)),
                          "cells": Out(AccessPort(ADDRESS_BITS)),
                          "host": Out(HostPort())})

    def elaborate(self, platform):
        m = Module()
        access, host = self.access, self.host
        written, read = Signal(32), Signal(32)      # held: a low word written, a high word read
        reaches, holds, shows, exists = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.registers.address.eq(access.address), self.registers.write.eq(access.write),
            self.registers.w_data.eq(access.w_data), host.write.eq(access.write),
            self.cells.address.eq(access.address), self.cells.write.eq(access.write),
            self.cells.w_data.eq(access.w_data)]

        def select(name, element_words):
            """The condition that ``address`` lies in a window, its element, and the word within the element."""
            place = window(name)
            size_bits, stride_bits = place.size.bit_length() - 1, element_words.bit_length() + 1
            return (access.address[size_bits:] == place.address >> size_bits,
                    access.address[stride_bits:size_bits], access.address[2:stride_bits])

        lanes = self.configuration.lora
        elements = self.configuration.sram.words * lanes.row_elements
        outputs = self.configuration.calibration_words * lanes.rows
        in_cells, _, _ = select("cells", 1)
        in_weights, weight, _ = select("weights", 1)
        in_states, state, state_word = select("states", 2)
        in_calibration, output, calibration_word = select("calibration", 4)

        with m.If(in_weights):
            m.d.comb += [host.space.eq(Space.WEIGHTS), host.element.eq(weight), exists.eq(weight < elements),
                         host.w_data.eq(access.w_data.as_signed()), reaches.eq(1)]
        with m.Elif(in_states):
            m.d.comb += [host.space.eq(Space.STATES), host.element.eq(state), exists.eq(state < elements),
                         host.w_data.eq(Cat(written, access.w_data)), reaches.eq(access.write == state_word[0]),
                         holds.eq(access.write & ~state_word[0]), shows.eq(~access.write & state_word[0])]
        with m.Elif(in_calibration):
            gain, high = calibration_word == 0, calibration_word[0]
            m.d.comb += [host.space.eq(Mux(gain, Space.GAIN, Space.OFFSET)), host.element.eq(output),
                         exists.eq((output < outputs) & (calibration_word != 1)),
                         host.w_data.eq(Mux(gain, access.w_data.as_signed(), Cat(written, access.w_data).as_signed())),
                         reaches.eq(gain | (access.write == high)),
                         holds.eq(~gain & access.write & ~high), shows.eq(~gain & ~access.write & high)]
        with m.Elif(in_cells):
            m.d.comb += [self.cells.valid.eq(access.valid), access.ready.eq(self.cells.ready),
                         access.r_data.eq(self.cells.r_data), access.error.eq(self.cells.error)]
        with m.Else():
            m.d.comb += [self.registers.valid.eq(access.valid), access.ready.eq(self.registers.ready),
                         access.r_data.eq(self.registers.r_data), access.error.eq(self.registers.error)]

        in_window = in_weights | in_states | in_calibration
        m.d.comb += host.valid.eq(access.valid & in_window & exists & reaches)
        with m.If(in_window & ~exists):
            m.d.comb += [access.ready.eq(access.valid), access.error.eq(1)]
        with m.Elif(in_window & reaches):
            m.d.comb += [access.ready.eq(host.ready), access.r_data.eq(host.r_data)]
            with m.If(host.valid & host.ready & ~access.write):
                m.d.sync += read.eq(host.r_data[32:].as_signed())
        with m.Elif(in_window):
            m.d.comb += [access.ready.eq(access.valid), access.r_data.eq(Mux(shows, read, 0))]
            with m.If(access.valid & holds):
                m.d.sync += written.eq(access.w_data)
        return m
