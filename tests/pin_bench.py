"""The board's model alone, and a hand on its pins: moves that keep every rule, each with a way to break it."""

import ctypes
import pathlib
import re

import numpy as np
from rmdlora.cosim.board import Board, parameters, sources, violations
from rmdlora.cosim.model import NativeModel
from rmdlora.cosim.verilate import Design

PLAYER = pathlib.Path(__file__).with_name("pin_player.cpp")
WATCHED = ("adc_dout", "dac_sdo")
IDLE = {"adc_cs_n": 1, "xlat_oe_n": 1, **{f"{line}_oe_n": 1 for line in ("wl", "bl", "sl")},
        **{f"{group}_mux_inh": 1 for group in ("wl", "bl", "sl", "adc")}}
SAFE, READ, SET, RESET = range(4)


def board_design(configuration):
    """Module `board` of a configuration, and the player."""
    verilog, native = ([(path.name, path.read_text(encoding="utf-8")) for path in paths] for paths in sources())
    name, text = verilog[-1]
    for parameter, value in parameters(configuration).items():
        text, found = re.subn(rf"(parameter \w+ {parameter} =) \d+", rf"\1 {value}", text)
        assert found == 1, parameter
    return Design("board", (*verilog[:-1], (name, text)), (*native, (PLAYER.name, PLAYER.read_text(encoding="utf-8"))))


class Change(ctypes.Structure):
    """As `Change` in the player."""

    _fields_ = [("tick", ctypes.c_uint64), ("pin", ctypes.c_void_p), ("value", ctypes.c_uint64),
                ("bytes", ctypes.c_uint64)]


class PinBench:
    """Pins of a board as a chip would move them. `set` and `wait` write a script; `run` plays it.

    Every move takes its times as arguments, so a test breaks the one rule it is about.
    """

    def __init__(self, configuration, design):
        self.model = NativeModel.build(design)
        self.library = self.model.lib
        self.board = Board(configuration)
        self.board.attach(self.library)
        self.tick, self.script, self.answers = 0, [], np.zeros((0, len(WATCHED)), np.uint8)
        self.parts = (1 << self.model.ports["dac_cs_n"][1]) - 1     # every DAC
        self.rows = self.board.array.rows
        for name, value in {**IDLE, "dac_cs_n": self.parts}.items():     # as the chip's flip-flops wake up
            ctypes.memset(self.model.address(name), value, 1)
        self.wait(1)

    def set(self, **pins):
        """Pins change in this tick."""
        for name, value in pins.items():
            bits = self.model.ports[name][1]
            self.script.append(Change(self.tick, self.model.address(name), value, -(-bits // 8)))

    def wait(self, ticks):
        """Let time pass."""
        self.tick += ticks

    def run(self):
        """Play the script; the answers (ticks, watched), uint8, of it all so far."""
        ticks = self.tick - len(self.answers)
        for change in self.script:
            change.tick -= len(self.answers)
        changes = (Change * len(self.script))(*self.script)
        watched = (ctypes.c_void_p * len(WATCHED))(*(self.model.address(name) for name in WATCHED))
        answers = np.zeros((ticks, len(WATCHED)), np.uint8)
        self.library.pin_player(
            ctypes.c_void_p(self.model.model), changes, ctypes.c_uint64(len(changes)), ctypes.c_uint64(ticks), watched,
            ctypes.c_uint64(len(WATCHED)), ctypes.c_void_p(answers.ctypes.data))
        self.script = []
        self.answers = np.concatenate([self.answers, answers])
        return self.answers

    def broken(self):
        """Play the script; the rules broken so far, in words."""
        self.wait(5)
        self.run()
        count, texts = violations(self.library)
        assert count == len(texts) or count > 256
        return texts

    def shift(self, line, word, length, setup=5, high=5, low=5, latch=10, width=10):
        """Shift ``word`` into a chain, highest bit first, and latch it."""
        for place in reversed(range(length)):
            self.set(**{f"{line}_ser": word >> place & 1, f"{line}_srclk": 0})
            self.wait(max(setup, low))
            self.set(**{f"{line}_srclk": 1})
            self.wait(high)
        self.set(**{f"{line}_srclk": 0})
        self.wait(latch)
        self.set(**{f"{line}_rclk": 1})
        self.wait(width)
        self.set(**{f"{line}_rclk": 0})
        self.wait(10)

    def frame(self, select, word, bits=24, half=2, lead=4, trail=2, high=3):
        """One DAC frame to the parts of the mask ``select``."""
        self.set(dac_cs_n=self.parts & ~select)
        self.wait(lead)
        for place in reversed(range(bits)):
            self.set(dac_sclk=1, dac_sdi=word >> place & 1)
            self.wait(half)
            self.set(dac_sclk=0)
            self.wait(half)
        self.wait(trail - 1)
        self.set(dac_cs_n=self.parts)
        self.wait(high)

    def switch(self, group, mode, inhibit=50, connect=80):
        """Change a group of switches to ``mode``, connected."""
        self.set(**{f"{group}_mux_inh": 1})
        self.wait(inhibit)
        self.set(**{f"{group}_mux_a": mode & 1, f"{group}_mux_b": mode >> 1})
        self.wait(5)
        self.set(**{f"{group}_mux_inh": 0})
        self.wait(connect)

    def convert(self, half=42, select=42, falls=22, idle=84):
        """One conversion; ticks at which DOUT is sampled, those of DCLOCK's rises."""
        self.set(adc_cs_n=0)
        self.wait(select)
        rises = []
        for _ in range(falls):
            rises.append(self.tick)
            self.set(adc_dclock=1)
            self.wait(half)
            self.set(adc_dclock=0)
            self.wait(half)
        self.set(adc_cs_n=1)
        self.wait(2 * idle)
        return np.array(rises)

    def power_up(self):
        """Translators on, chains cleared, DACs awake."""
        self.set(xlat_oe_n=0, wl_srclr_n=0, bl_srclr_n=0, sl_srclr_n=0)
        self.wait(20)
        self.set(wl_srclr_n=1, bl_srclr_n=1, sl_srclr_n=1)
        self.wait(10)
        for line in ("wl", "bl", "sl"):
            self.set(**{f"{line}_rclk": 1})
            self.wait(10)
            self.set(**{f"{line}_rclk": 0, f"{line}_oe_n": 0})
        self.wait(25_000)

    def start(self, codes=(0x8000,) * 32, supplies=(0, 0, 0, 43254, 0x8000), settle=1000):
        """Everything before the first read: `power_up`, registers, codes, TRIGGER, and the settling after it."""
        self.power_up()
        last = self.parts + 1 >> 1
        for part in range(self.parts.bit_length()):     # one by one: until then each drives SDO when selected
            self.frame(1 << part, 0x030200 if 1 << part == last else 0x030300)  # CONFIG: SDO off, one reference
        self.frame(self.parts, 0x02FFFF)            # SYNC
        self.frame(last, 0x04000F)                  # GAIN of the supplies
        for channel, code in enumerate(supplies):
            self.frame(last, 0x080000 | channel << 16 | code)
        self.write_rows(codes[:self.rows])
        self.frame(self.parts, 0x050010)            # TRIGGER.LDAC
        self.wait(settle)

    def write_rows(self, codes):
        """Buffers of the row channels."""
        for row, code in enumerate(codes):
            self.frame(1 << row // 8, 0x080000 | row % 8 << 16 | int(code))

    def connect(self, wl=0xFFFFFFFF, bl=0xFFFFFFFF, sl=0, array=0, settle=400):
        """Bits into the chains, then all lines to READ and the ADC switch to position 0."""
        chain = self.rows + self.board.configuration.board.array_bits
        for line, word, length in (("wl", array << self.rows | wl, chain), ("bl", bl, self.rows),
                                   ("sl", sl, self.board.array.columns)):
            self.shift(line, word & (1 << length) - 1, length)
        for group in ("sl", "bl", "wl"):
            self.switch(group, READ)
        self.switch("adc", 0)
        self.wait(settle)
