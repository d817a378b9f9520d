"""A board at the pins in plain Python for the sequencer's tests: every part decodes its lines and checks its times.

Not the co-simulation's board: it is written a second time, from the board's description, so that the two and the
gateware meet at the pins alone.
"""

import numpy as np
from rmdlora.golden.spec.formats import round_shift, saturate
from rmdlora.hdl.pins import CHAINS, SWITCHES

DEVICE_ID = 0x0890      # 16 bits, 8 channels


class PinBoard:
    """Call `advance` with the level of every pin the chip drives, once a clock; it returns ``(dac_sdo, adc_dout)``.

    ``conductances`` is ``(arrays, rows, columns)`` integers. ``identities`` is what each DAC answers (None: nothing).
    Rules that were broken are collected in ``wrong``.
    """

    def __init__(self, configuration, conductances, identities=None):
        self.configuration, self.board = configuration, configuration.board
        geometry = configuration.geometry
        self.rows, self.columns = geometry.tile_rows, geometry.tile_columns
        self.conductances = np.asarray(conductances, dtype=object)
        self.adcs = self.board.adcs(self.columns)
        parts = self.board.dacs(self.rows) + 1
        self.time, self.pins, self.last, self.wrong = 0, None, {}, []
        self.chains = {line: {"shift": [], "stored": None} for line in CHAINS}
        for line, lines in zip(CHAINS, (self.rows + self.board.array_bits, self.rows, self.columns), strict=True):
            self.chains[line] = {"shift": [1] * lines, "stored": [1] * lines}     # unknown at power-up
        # DACs wake with arbitrary outputs, and may have been silenced before a reset
        identities = [DEVICE_ID] * parts if identities is None else identities
        self.dacs = [{"registers": {3: 0x0200}, "buffer": [0xFFFF] * 8, "output": [0] * 8, "frame": None,
                      "answer": None, "identity": identity} for identity in identities]
        self.sdo = 0
        self.dac_settled = self.connected = 0
        self.applied = None             # time of the latest TRIGGER
        self.falls = None               # DCLOCK falls in this conversion; None: CS high
        self.dout = self.dout_next = (1 << self.adcs) - 1      # pulled up
        self.dout_due = None
        self.dout_delay = min(25, self.board.adc_half_ticks - 1)
        self.stuck = None               # (mask, level) of data lines that never move
        self.conversions, self.frames, self.line_changes = [], [], []

    def require(self, holds, text):
        if not holds:
            self.wrong.append(f"tick {self.time}: {text}")

    def since(self, pin):
        """Clocks since ``pin`` last changed."""
        return self.time - self.last.get(pin, -1_000_000)

    def advance(self, pins):
        """One clock; ``pins`` is ``{name: level}``."""
        before, self.pins = self.pins, pins
        if before is None:
            before = pins
        changed = {name for name, level in pins.items() if level != before[name]}
        if changed:
            for line in CHAINS:
                self.see_chain(line, before, changed)
            for group in SWITCHES:
                self.see_switch(group, changed)
            self.see_dacs(before, changed)
            self.see_adcs(changed)
            for name in changed:
                self.last[name] = self.time
        if self.dout_due == self.time:
            self.dout, self.dout_due = self.dout_next, None
        self.time += 1
        if self.stuck:
            mask, level = self.stuck
            return self.sdo, self.dout | mask if level else self.dout & ~mask
        return self.sdo, self.dout

    # SN74HC595
    def see_chain(self, line, before, changed):
        pins, chain, board = self.pins, self.chains[line], self.board
        srclk, rclk, ser, srclr = (f"{line}_{pin}" for pin in ("srclk", "rclk", "ser", "srclr_n"))
        if not pins[srclr]:
            chain["shift"] = [0] * len(chain["shift"])
        if srclr in changed and pins[srclr]:
            self.require(self.since(srclr) >= board.clear_ticks and not pins[srclk], f"{line} cleared too short")
        if srclk in changed:
            self.require(self.since(srclk) >= board.shift_half_ticks, f"{srclk} too fast")
            if pins[srclk]:
                self.require(self.since(ser) >= board.shift_half_ticks and ser not in changed, f"{ser} set up too late")
                self.require(pins[srclr] and self.since(srclr) >= board.clear_ticks, f"{srclk} in a clear")
                chain["shift"] = [pins[ser], *chain["shift"][:-1]]
                chain["rise"] = self.time
        if rclk in changed:
            if pins[rclk]:
                self.require(self.time - chain.get("rise", -1000) >= board.latch_ticks, f"{rclk} too soon")
                if chain["stored"] != chain["shift"] and not pins[f"{line}_oe_n"]:
                    self.change_bits(line)
                chain["stored"] = list(chain["shift"])
            else:
                self.require(self.since(rclk) >= board.latch_ticks, f"{rclk} too short")

    def change_bits(self, line):
        inh = f"{line}_mux_inh"
        self.require(self.pins[inh] and self.since(inh) >= self.board.inhibit_ticks, f"live {line} bits changed")
        self.line_changes.append((self.time, line))

    def bits(self, line):
        return [0] * len(self.chains[line]["stored"]) if self.pins[f"{line}_oe_n"] else self.chains[line]["stored"]

    # CD4051B
    def see_switch(self, group, changed):
        a, b, inh = (f"{group}_mux_{pin}" for pin in ("a", "b", "inh"))
        if group != "adc":
            self.require(not self.pins[b], f"{group} switches in a mode that is neither SAFE nor READ")
        if {a, b} & changed:
            self.require(self.pins[inh] and self.since(inh) >= self.board.inhibit_ticks and inh not in changed,
                         f"{group} switches changed while connected")
        if inh in changed:
            self.disturb(f"{inh} moved")
            if not self.pins[inh]:
                self.require(not self.pins.get(f"{group}_rclk"), f"{inh} fell in a latch")
                self.require(self.pins[a] or group == "adc", f"{group} switches connected in mode SAFE")
                self.require((self.applied is not None
                             and self.time - self.applied >= self.board.start_settle_ticks)
                             or self.connected > 0, f"{group} connected before the DACs settled at mid-scale")
                self.connected = max(self.connected, self.time + self.board.connect_ticks)

    def disturb(self, what):
        """Something before the ADCs moves: not while they sample."""
        self.require(self.falls is None or self.falls > self.board.adc_hold_clocks
                     or (self.falls == self.board.adc_hold_clocks
                     and self.time - self.held_at >= self.board.adc_guard_ticks), f"{what} while the ADCs sample")

    # DAC80508
    def see_dacs(self, before, changed):
        pins, board = self.pins, self.board
        selected = [part for part in range(len(self.dacs)) if not pins["dac_cs_n"] >> part & 1]
        if "dac_cs_n" in changed:
            fell, rose = before["dac_cs_n"] & ~pins["dac_cs_n"], ~before["dac_cs_n"] & pins["dac_cs_n"]
            if fell:
                self.require(self.since("dac_cs_n") >= board.dac_high_ticks, "CS high too short")
                self.require(not pins["dac_sclk"], "SCLK high as CS fell")
                talking = [part for part in selected if not self.dacs[part]["registers"].get(3, 0) & 0x0200]
                self.require(len(talking) <= 1, f"DACs {talking} drive SDO together")
                for part in selected:
                    self.dacs[part]["frame"] = []
            if rose:
                self.require(self.since("dac_sclk") >= board.dac_half_ticks + board.dac_trail_ticks, "CS rose too soon")
                for part, dac in enumerate(self.dacs):
                    if rose >> part & 1:
                        self.require(len(dac["frame"]) == 24, f"a frame of {len(dac['frame'])} bits")
                        self.take_frame(part, int("".join(map(str, dac["frame"])), 2))
                self.frames.append(self.time)
                self.sdo = 1
        if "dac_sclk" in changed:
            half = board.dac_half_ticks
            self.require(self.since("dac_sclk") >= half, "SCLK too fast")
            if pins["dac_sclk"]:
                self.require(self.since("dac_cs_n") >= board.dac_lead_ticks, "SCLK too soon after CS")
                for part in selected:
                    dac = self.dacs[part]
                    if dac["answer"] is not None and not dac["registers"].get(3, 0) & 0x0200:
                        self.sdo = dac["answer"] >> (23 - len(dac["frame"])) & 1
            else:
                self.require(self.since("dac_sdi") >= half and "dac_sdi" not in changed, "SDI set up too late")
                if any(self.dacs[part]["answer"] is not None for part in selected):
                    self.require(self.since("dac_sclk") >= board.dac_read_half_ticks, "SCLK too fast to answer")
                for part in selected:
                    self.dacs[part]["frame"].append(pins["dac_sdi"])

    def take_frame(self, part, word):
        dac, address, value = self.dacs[part], word >> 16 & 15, word & 0xFFFF
        self.require(self.time >= self.board.dac_wake_ticks, "a frame before the DACs are awake")
        self.require(word >> 20 & 7 == 0, f"reserved bits in frame {word:06x}")
        dac["answer"] = None
        if word >> 23:
            if dac["identity"] is not None:
                dac["answer"] = 0x80 << 16 | address << 16 | (dac["identity"] if address == 1 else 0)
        elif address >= 8:
            dac["buffer"][address - 8] = value
            self.require(dac["registers"].get(2, 0xFF00) & 1 << (address - 8), "a code that does not wait for TRIGGER")
        elif address == 5:
            self.require(value == 1 << 4, f"TRIGGER {value:04x}")
            self.disturb("DAC outputs")
            dac["output"] = list(dac["buffer"])
            self.dac_settled = self.time + self.board.dac_settle_ticks
            self.applied = self.time
        else:
            dac["registers"][address] = value

    # the array, and ADS8324
    def see_adcs(self, changed):
        pins, board = self.pins, self.board
        if "adc_cs_n" in changed:
            if pins["adc_cs_n"]:
                self.falls += "adc_dclock" in changed   # the last fall may be the end
                self.require(self.falls == board.adc_clocks, f"CS rose after {self.falls} DCLOCKs")
                self.falls, self.dout = None, (1 << self.adcs) - 1
            else:
                idle = 2 * board.adc_idle_clocks * board.adc_half_ticks
                self.require(self.since("adc_cs_n") >= idle, "CS high too short")
                self.require(not pins["adc_dclock"], "DCLOCK high as CS fell")
                settled = max(self.connected, self.dac_settled) + board.tia_settle_ticks
                self.require(self.time >= settled, f"conversion {settled - self.time} ticks before all has settled")
                for group in SWITCHES:
                    self.require(not pins[f"{group}_mux_inh"], f"conversion with {group} open")
                self.conversions.append(self.time)
                self.falls = 0
        if "adc_dclock" in changed:
            self.require(self.since("adc_dclock") >= board.adc_half_ticks, "DCLOCK too fast")
            if not pins["adc_dclock"] and "adc_cs_n" not in changed:
                self.require(self.falls is not None, "DCLOCK without CS")
                self.falls += 1
                if self.falls == board.adc_hold_clocks:
                    self.held_at = self.time
                    self.codes = self.convert()
                if self.falls >= board.adc_hold_clocks:
                    # what was there stays invalid until the output delay has passed
                    bit = 13 - (self.falls - board.adc_hold_clocks - 1)
                    word = sum((code >> bit & 1) << adc for adc, code in enumerate(self.codes)) if 0 <= bit < 14 else 0
                    self.dout, self.dout_next = ~word & (1 << self.adcs) - 1, word
                    self.dout_due = self.time + self.dout_delay - 1

    def convert(self):
        """The code of every ADC now, from what is on the lines."""
        pins, crossbar = self.pins, self.configuration.crossbar
        wl, bl, sl = (self.bits(line) for line in CHAINS)
        supplies = self.dacs[-1]
        self.require(supplies["registers"].get(4) == 0xF and supplies["output"][3] > 0x8000
                     and supplies["output"][4] == 0x8000 and not any(supplies["output"][:3]), "supplies are not set")
        self.high = sum(sl)
        array = sum(bit << index for index, bit in enumerate(wl[self.rows:]))
        self.require(array < len(self.conductances), f"array {array} does not exist")
        volts = []
        for row in range(self.rows):
            dac = self.dacs[row // 8]
            self.require(dac["registers"].get(4) == 0 and dac["registers"].get(3) == 0x0300, "a row DAC is not set up")
            volts.append((0x8000 - dac["output"][row % 8]) * bl[row] * wl[row])
        position = pins["adc_mux_a"] + 2 * pins["adc_mux_b"]
        columns = range(position * self.adcs, (position + 1) * self.adcs)
        self.read = array, sum(wl[:self.rows]), position
        cells = self.conductances[array]
        codes = []
        for column in columns:
            num, shift = (crossbar.verify_num, crossbar.verify_shift) if sl[column] else (crossbar.num, crossbar.shift)
            current = sum(volts[row] * int(cells[row][column]) for row in range(self.rows))
            codes.append(saturate(round_shift(current * num, shift), crossbar.adc_bits))
        return codes
