"""A board that can be programmed: `pin_board.PinBoard` with the rules of programming, and cells that move."""

from pin_board import PinBoard
from rmdlora.golden.spec.formats import round_shift, saturate
from rmdlora.golden.spec.noise import philox4x32
from rmdlora.golden.spec.pulses import PULSE_WORD, pulsed
from rmdlora.hdl.pins import CHAINS

SAFE, READ, SET, RESET = range(4)


class ProgramBoard(PinBoard):
    """``pulses`` lists (array, row, column, kind, amplitude, gate, ticks) of each. ``model`` says what they do."""

    def __init__(self, configuration, conductances, model):
        super().__init__(configuration, conductances)
        self.model, self.pulses, self.counts, self.verified = model, [], {}, []
        self.modes = dict.fromkeys(CHAINS)      # of connected lines; None: inhibited
        self.since_connected = dict.fromkeys(CHAINS, 0)
        self.triggers = 0                       # of the analyser

    @property
    def supplies(self):
        return self.dacs[-1]["output"][:3]

    def see_switch(self, group, changed):
        inh = f"{group}_mux_inh"
        if group == "adc":
            return super().see_switch(group, changed)
        a, b = (f"{group}_mux_{pin}" for pin in "ab")
        if {a, b} & changed:
            self.require(self.pins[inh] and self.since(inh) >= self.board.inhibit_ticks and inh not in changed,
                         f"{group} switches changed while connected")
        if inh in changed:
            self.disturb(f"{inh} moved")
            if self.pins[inh]:
                if group == "wl" and self.modes["wl"] == SET:
                    self.strike(self.time - self.since_connected["wl"])
                self.modes[group] = None
            else:
                self.require(not self.pins[f"{group}_rclk"], f"{inh} fell in a latch")
                self.connect(group, self.pins[a] + 2 * self.pins[b])
        return None

    def connect(self, group, mode):
        self.require(self.applied is not None, f"{group} connected before the DACs were set")
        self.modes[group], self.since_connected[group] = mode, self.time
        self.connected = max(self.connected, self.time + self.board.connect_ticks)
        modes = [mode for mode in self.modes.values() if mode is not None]
        self.require(not (READ in modes and max(modes) > READ), f"lines in READ beside others in {self.modes}")
        if mode == READ:
            self.require(not any(self.supplies), f"{group} in READ with supplies {self.supplies}")
            self.require(self.dacs[-1]["buffer"][:3] == self.supplies, "supplies about to change in READ")
        if group == "wl" and mode >= SET:
            self.judge_pulse()
        elif mode >= SET:
            self.require(self.modes["wl"] in (None, SAFE), f"{group} to {mode} under an open gate")

    def judge_pulse(self):
        wl, bl, sl = (self.bits(line) for line in CHAINS)
        self.require(sum(wl[:self.rows]) == 1 and sum(sl) == 1, f"pulse at {wl} {sl}")
        self.require(self.modes["bl"] == self.modes["sl"] in (SET, RESET), f"pulse in {self.modes}")
        self.require(bl == (wl[:self.rows] if self.modes["bl"] == RESET else [0] * self.rows), "BL bits of a pulse")
        for line in ("bl", "sl"):
            calm = self.time - self.since_connected[line] - self.board.connect_ticks
            self.require(calm >= self.board.line_settle_ticks, f"{line} settled {calm} ticks before a pulse")
        self.require(self.time >= self.dac_settled, "pulse before the supplies settled")

    def take_frame(self, part, word):
        if part == len(self.dacs) - 1 and self.applied is not None:
            self.require(all(mode in (None, SAFE) for mode in self.modes.values()), f"supplies moved in {self.modes}")
        super().take_frame(part, word)

    def strike(self, ticks):
        wl, sl = self.bits("wl"), self.bits("sl")
        row, column = wl.index(1), sl.index(1)
        array = sum(bit << index for index, bit in enumerate(wl[self.rows:]))
        resetting = self.modes["bl"] == RESET
        vp_bl, vp_sl, gate = self.supplies
        self.require(ticks >= self.board.shortest_pulse_ticks, f"a pulse of {ticks} ticks")
        self.pulses.append((array, row, column, "RESET" if resetting else "SET", vp_bl if resetting else vp_sl, gate,
                            ticks))
        cell = (array, row, column)
        before = self.counts.get(cell, 0)
        self.counts[cell] = before + 1
        seed = self.configuration.device.seed
        self.conductances[cell] = pulsed(self.model, self.conductances[cell], -vp_bl if resetting else vp_sl, gate,
                                         ticks, before, lambda: philox4x32((before, row, column, PULSE_WORD),
                                                                           (seed, array)))

    def convert(self):
        wl, bl, sl = (self.bits(line) for line in CHAINS)
        if not any(sl):
            return super().convert()
        crossbar = self.configuration.crossbar
        self.require([*self.modes.values()] == [READ] * 3, f"a verify in {self.modes}")
        self.require(not any(self.supplies), "a verify with supplies up")
        array = sum(bit << index for index, bit in enumerate(wl[self.rows:]))
        row, column = wl.index(1), sl.index(1)
        self.require(sum(wl[:self.rows]) == sum(bl) == sum(sl) == 1 and bl[row], "a verify of one cell")
        volt = 0x8000 - self.dacs[row // 8]["output"][row % 8]
        position = self.pins["adc_mux_a"] + 2 * self.pins["adc_mux_b"]
        self.require(column // self.adcs == position, f"column {column} at position {position}")
        self.verified.append((array, row, column))
        code = saturate(round_shift(volt * int(self.conductances[array, row, column]) * crossbar.verify_num,
                                    crossbar.verify_shift), crossbar.adc_bits)
        return [code if adc == column % self.adcs else 0 for adc in range(self.adcs)]
