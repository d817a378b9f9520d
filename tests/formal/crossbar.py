"""The crossbar's sequencer at its pins: what it never does, whatever its inputs do.

The promises are about pins and frames; what is said of states inside is there for the induction alone, and is proved
with it. `switch` and `lines` hold for every group of switches by itself, `frame` for whatever the sender is given,
`pins` for the whole.
"""

from amaranth.hdl import Assert, Cat, Cover, Mux, Signal
from rmdlora.hdl.crossbar.frames import DacRegister
from rmdlora.hdl.crossbar.job import Job
from rmdlora.hdl.crossbar.lines import READ, SAFE
from rmdlora.hdl.crossbar.loader import MID_SCALE
from rmdlora.hdl.pins import CHAINS, SWITCHES

from .prove import driven, follows, known, part, state

__all__ = ["frame", "lines", "pins", "switch"]

CHANNELS = 4
SUPPLIES = 3        # channels of the last DAC: VP_BL, VP_SL, VP_WL
VP_BL, VP_SL, VP_WL = range(SUPPLIES)
# states of the programmer: those in which lines know READ and SAFE; all in SAFE, and only then supplies; pulses
READING = ("Wait for a map", "Judge pulses", "Apply the read voltage", "Fetch a target", "Take the target",
           "Look at the target", "Shift in", "Settle", "Verify", "Compare", "Judge the code", "Choose the amplitude",
           "Bound the amplitude", "Next cell", "Clear the lines", "Shift zeros", "Come to rest")
JUDGING = ("Verify", "Compare", "Judge the code", "Choose the amplitude", "Bound the amplitude")
GROUNDED = ("Load what is read", "Set the supplies", "Wait for the supplies")
ANALYSING = ("Wait for the analyser", "Let the analyser go", "Break off")
PULSING = ("Prepare the word line", "Pulse", "Connect the analyser", *ANALYSING, "Ground the word line")
ALL_SUPPLIED = ("Settle the lines", *PULSING, "Release the lines")


def pins_of(crossbar, group):
    """``(address, inhibit)`` of a group of CD4051B."""
    pins = crossbar.pins
    return Cat(getattr(pins, f"{group}_mux_a"), getattr(pins, f"{group}_mux_b")), getattr(pins, f"{group}_mux_inh")


def lingers(m, name, selected, ticks):
    """Clocks that a channel may go on conducting: ``ticks`` after it was ``selected``."""
    left = Signal(range(ticks + 1), name=f"{name}_left")
    m.d.sync += left.eq(Mux(selected, ticks, Mux(left == 0, 0, left - 1)))
    return left


def switch(board):
    """Break before make: of the channels of a group one conducts, those that linger counted; and the address moves only
    under an INH that has been high for ``board.inhibit_ticks`` clocks. ``settled`` comes ``connect_ticks`` after INH.
    """
    def specify(m, group, fragment):
        address = Cat(group.a, group.b)
        on = []
        for channel in range(CHANNELS):
            selected = ~group.inh & (address == channel)
            left = lingers(m, f"channel_{channel}", selected, board.inhibit_ticks)
            on.append(selected | (left != 0))
        moved, inhibited = address != follows(m, address), lingers(m, "inhibited", ~group.inh, board.inhibit_ticks)
        connected = lingers(m, "connected", group.inh, board.connect_ticks)
        m.d.comb += [
            Assert(sum(on) <= 1), Assert(~moved | (group.inh & follows(m, group.inh, init=1) & (inhibited == 0))),
            Assert(~group.settled | (~group.inh & (connected == 0))), Assert(~group.apply | (inhibited <= 1)),
            Assert(group.inh == state(fragment, "Open", "Inhibit", "Change")),
            Assert(~state(fragment, "Inhibit") | (inhibited <= driven(fragment, "timer") + 1)),
            Assert(~state(fragment, "Connect") | (connected <= driven(fragment, "timer") + 1)),
            Assert(~state(fragment, "Change") | (inhibited == 0)),
            Cover(moved & (address == 2)), Cover(group.settled & (address == 3))]
    return specify


def lines(board):
    """A line's own address bit, from its chain, moves only under an INH that has been high for ``board.inhibit_ticks``
    clocks, and INH stays high until the latch is done."""
    def specify(m, group, fragment):
        for line in CHAINS:
            chain, shifts = part(fragment, f"{line}_chain")
            _, moves = part(fragment, f"{line}_switch")
            inhibited = lingers(m, f"{line}_inhibited", ~getattr(group, f"{line}_mux_inh"), board.inhibit_ticks)
            latching = getattr(group, f"{line}_rclk") & ~getattr(group, f"{line}_oe_n")
            rises = latching & ~follows(m, latching)
            m.d.comb += [
                Assert(~latching | getattr(group, f"{line}_mux_inh")), Assert(~rises | (inhibited == 0)), Cover(rises),
                Assert(getattr(group, f"{line}_mux_inh") == state(moves, "Open", "Inhibit", "Change")),
                Assert(~getattr(group, f"{line}_rclk") | state(shifts, "Latch")),
                Assert(~state(moves, "Inhibit") | (inhibited <= driven(moves, "timer") + 1)),
                Assert(~state(moves, "Change") | (inhibited == 0)),
                Assert(chain.oe_n | ~state(shifts, "Clear", "Recover")),
                Assert(~state(shifts, "Latch") | chain.oe_n | state(moves, "Change"))]
    return specify


def frame(m, sender, fragment):
    """Every frame that `FrameSender` accepts goes over the pins whole: 24 falls of SCLK within CS low, the bits in
    order, each there before the fall and after, and to the parts selected alone."""
    wanted = sender.frames.payload
    accepted = sender.frames.valid & sender.frames.ready
    select, rest, count = Signal.like(sender.cs_n), Signal(24), Signal(range(26))
    clocked, selected, said = follows(m, sender.sclk), follows(m, sender.cs_n, ~0), follows(m, sender.sdi)
    fall = clocked & ~sender.sclk
    fallen = count + fall
    left = Signal(24)
    m.d.comb += left.eq(Mux(fall, rest << 1, rest))
    m.d.sync += [rest.eq(left), count.eq(fallen)]
    with m.If(accepted):
        m.d.sync += [rest.eq(Cat(wanted.value, wanted.address, 0, 0, 0, wanted.read)), count.eq(0),
                     select.eq(wanted.select)]
    quiet = sender.cs_n.all()
    m.d.comb += [
        Assert(~fall | ((sender.sdi == said) & (sender.sdi == rest[-1]) & ~(quiet & select.any()))),
        Assert(quiet | (sender.cs_n == ~select)),
        Assert(~quiet | selected.all() | (fallen == 24)),
        Cover(quiet & ~selected.all())]
    word, bits_left = driven(fragment, "word"), driven(fragment, "left")
    high, low = state(fragment, "Clock high"), state(fragment, "Clock low")
    m.d.comb += [
        Assert(sender.sclk == high),
        Assert(~state(fragment, "Lead") | ((bits_left == 23) & (fallen == 0) & (word == left))),
        Assert(~high | ((fallen == 23 - bits_left) & (word == (left << 1)[:24]) & (sender.sdi == left[-1]))),
        Assert(~low | ((fallen == 24 - bits_left) & (word == left))),
        Assert(~state(fragment, "Trail") | (fallen == 24)), Assert((bits_left < 24) | ~(high | low)),
        Assert(quiet == (state(fragment, "Wait for a frame", "Rise", "Rest") | (select == 0)))]


class Supply:
    """What the supplies' DAC holds, as a watcher of its frames knows it: which programming voltages are not 0, written
    and let out. A frame that lets one out counts from its beginning, one that takes it back from its end."""

    def __init__(self, m, sender):
        taken, sent = sender.frames.valid & sender.frames.ready & ~sender.frames.payload.read, sender.frames.payload
        self.written, self.out = (Signal(SUPPLIES, name=name) for name in ("supplies_written", "supplies_out"))
        self.applying = Signal()
        with m.If(self.applying & sender.ended):
            m.d.sync += [self.applying.eq(0), self.out.eq(self.written)]
        with m.If(taken & sent.select[-1]):
            for channel in range(SUPPLIES):
                with m.If(sent.address == DacRegister.DAC0 + channel):
                    m.d.sync += self.written[channel].eq(sent.value != 0)
            with m.If(sent.address == DacRegister.TRIGGER):
                m.d.sync += [self.applying.eq(1), self.out.eq(self.out | self.written)]


def pins(configuration, meets=None):
    """No programming voltage in read mode: while a group of lines conducts in READ, or may still do so, no group
    conducts in SET or RESET and the programming supplies are 0; and a command never meets a programming mode. Every
    code sent to a row lies in the read window. Nothing is connected before start-up has ended, or after it has failed.
    ``meets``: "a read" or "a pulse", to be covered."""
    board = configuration.board
    reach = configuration.crossbar.step << (configuration.formats.activation - 1)

    def specify(m, crossbar, fragment):
        sender, _ = part(fragment, "sender")
        start, starts = part(fragment, "start")
        programmer, programs = part(fragment, "programmer")
        group, stages = part(fragment, "lines")
        loader, _ = part(fragment, "loader")
        supply = Supply(m, sender)
        raising, resetting, updating, step, job = (
            driven(programs, name) for name in ("raising", "resetting", "updating", "step", "job"))

        def within(*names):
            return state(programs, *names)

        # the promises
        conducts = {mode: Signal(len(CHAINS), name=f"conducts_{mode}") for mode in ("read", "pulse")}
        frame = sender.frames.payload
        row = sender.frames.valid & ~frame.read & frame.select[:-1].any() & (frame.address >= DacRegister.DAC0)
        connected = Signal()
        m.d.sync += connected.eq(connected | start.connect)
        m.d.comb += [
            Assert(~conducts["read"].any() | ~conducts["pulse"].any()),
            Assert(~conducts["read"].any() | ~supply.out.any()),
            Assert(~crossbar.busy | ~conducts["pulse"].any()),
            Assert(~row | ((frame.value >= MID_SCALE - reach) & (frame.value <= MID_SCALE + reach))),
        ]
        if meets == "a read":
            m.d.comb += Cover(crossbar.busy & ~crossbar.pins.adc_cs_n & conducts["read"].all())
        if meets == "a pulse":
            m.d.comb += Cover(conducts["pulse"].all() & supply.out.any() & ~crossbar.pins.wl_mux_inh)
        for name in SWITCHES:
            _, inhibit = pins_of(crossbar, name)
            m.d.comb += [Assert(connected | inhibit), Assert(~crossbar.failed | inhibit)]

        # start-up
        m.d.comb += [
            Assert(known(programs)), Assert(known(starts)), Assert(known(stages)),
            Assert(connected == state(starts, "Connect", "Ready")), Assert(start.ready == state(starts, "Ready")),
            Assert(start.ready | ~programmer.active), Assert(start.ready | ~crossbar.busy),
            Assert(programmer.active == ~within("Wait for a map")),
            Assert(~programmer.active | ~(crossbar.busy | driven(fragment, "halting"))),
            Assert(start.ready | state(stages, "Wait for a read")),
            Assert(~programmer.active | state(stages, "Wait for a read", "Shift a cell")),
            Assert(~loader.frames.valid | (loader.frames.payload.address < DacRegister.DAC0) |
                   ((loader.frames.payload.value >= MID_SCALE - reach)
                    & (loader.frames.payload.value <= MID_SCALE + reach)))]
        walk, _ = part(fragment, "walk")
        _, sequences = part(fragment, "sequence")
        m.d.comb += [Assert(start.ready | ~walk.steps.valid), Assert(start.ready | state(sequences, "Take a read"))]

        # switches
        for index, name in enumerate(SWITCHES):
            address, inhibit = pins_of(crossbar, name)
            _, moves = part(fragment, "adc_switch") if name == "adc" else part(fragment, "lines", f"{name}_switch")
            timer = driven(moves, "timer")
            m.d.comb += [Assert(known(moves)), Assert(inhibit == state(moves, "Open", "Inhibit", "Change")),
                         Assert(connected == ~state(moves, "Open"))]
            if name == "adc":
                continue
            for mode, is_mode in (("read", address == READ), ("pulse", address > READ)):
                selected = ~inhibit & is_mode
                left = lingers(m, f"{name}_{mode}", selected, board.inhibit_ticks)
                m.d.comb += [
                    conducts[mode][index].eq(selected | (left != 0)),
                    Assert(~state(moves, "Inhibit") | (left <= timer + 1)),
                    Assert(~state(moves, "Change") | (left == 0)),
                    Assert(inhibit | is_mode | (left == 0)), Assert(~state(moves, "Open") | (left == 0))]
                if mode == "pulse":
                    m.d.comb += [Assert(~within(*READING) | (left == 0)),
                                 Assert(~within("Leave the read", *GROUNDED) | (left == 0))]
                else:
                    m.d.comb += Assert(~within(*GROUNDED, *ALL_SUPPLIED) | (left == 0))
            asked = group.cell.word_mode if name == "wl" else group.cell.mode
            there, grounded = state(moves, "Connected"), address == SAFE
            arrives = state(moves, "Inhibit") | grounded        # ... at SAFE, with the change under way
            m.d.comb += [
                Assert(~within(*READING) | ((address <= READ) & (asked <= READ))),
                Assert(~within("Leave the read") | ((asked == SAFE) & (address <= READ) & arrives)),
                Assert(~within(*GROUNDED) | ((asked == SAFE) & grounded & there)),
                Assert(~within(*ALL_SUPPLIED) | ((asked != READ) & (address != READ))),
                Assert(~within(*JUDGING) | there)]
            if name == "wl":
                ticks, chain = driven(programs, "timer"), part(fragment, "lines", "wl_chain")[0]
                m.d.comb += [
                    Assert(~within("Settle the lines", "Release the lines") | (there & grounded)),
                    Assert(~within("Settle the lines", "Release the lines", "Ground the word line") | (asked == SAFE)),
                    Assert(~within("Prepare the word line") | state(moves, "Inhibit", "Change")),
                    Assert(~within("Pulse", "Connect the analyser") | state(moves, "Change", "Connect", "Connected")),
                    Assert(~within("Pulse") | ~state(moves, "Change") | (
                        ~chain.latching & (ticks >= board.connect_ticks + 2))),
                    Assert(~within("Pulse") | ~state(moves, "Connect") | (ticks >= timer + 2)),
                    Assert(~within(*ANALYSING) | there), Assert(~within("Ground the word line") | arrives)]
            else:
                m.d.comb += [Assert(~within(*PULSING) | there),
                             Assert(~within("Release the lines") | ((asked == SAFE) & arrives))]

        # supplies
        used = Mux(resetting, 1 << VP_BL, 1 << VP_SL)
        narrow = [Job(job).pulses[kind].ticks < board.shortest_pulse_ticks for kind in range(3)]
        wide = Job(job).analyser | ~Mux(Job(job).forming, narrow[2], narrow[0] | narrow[1])
        m.d.comb += [
            Assert(~within(*READING) | ~(supply.written.any() | supply.out.any() | raising)),
            Assert(((supply.written | supply.out) & ~(used | 1 << VP_WL)) == 0),
            Assert(~supply.applying | updating | ~state(starts, "Settle", "Connect", "Ready")),
            Assert(~within("Set the supplies") | (step <= 2)),
            Assert(within("Set the supplies", "Apply the read voltage") | (step == 0)),
            Assert(~within("Set the supplies") | raising | (step == 0) | ~(supply.written & used).any()),
            Assert(~within("Set the supplies") | raising | (step <= 1) | ~supply.written[VP_WL]),
            Assert(~within("Wait for the supplies") | raising | (
                ~supply.written.any() & (updating | ~supply.out.any()))),
            Assert(~within("Wait for the supplies") | raising | ~supply.out.any() | supply.applying),
            Assert(~within("Leave the read", *ALL_SUPPLIED) | raising), Assert(~within("Load what is read") | ~raising),
            Assert(~within("Leave the read") | ~(supply.written.any() | supply.out.any())),
            Assert(within("Wait for a map", "Judge pulses") | wide)]
    return specify
