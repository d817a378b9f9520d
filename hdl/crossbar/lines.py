"""The lines of the array: which rows of which array are driven."""

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..pins import CHAINS
from .chain import Chain
from .switch import Switch
from .walk import step_layout

__all__ = ["ANALYSER", "READ", "RESET", "SAFE", "SET", "CellPort", "Lines"]

# modes of the line switches: all lines to ground; V_WL_RD, VRD or VCM, low or high gain; the programming voltages, in
# which WL has VP_WL in mode SET, also for a RESET, and the analyser's pulse in mode ANALYSER
SAFE, READ, SET, RESET = range(4)
ANALYSER = RESET


class CellPort(wiring.Signature):
    """The lines in the hands of whoever programs one cell; his view.

    With ``load`` the chains take new words, at the lines with the next change of their switches; ``loaded`` when they
    wait there. In them row and column of the cell alone may be 1: as ``wl``, ``bl``, ``sl`` say, which must be stable
    from ``load`` until ``loaded``, as the numbers. ``connect`` changes BL and SL to ``mode``, ``connect_word`` WL to
    ``word_mode``, as of `Switch`; ``hold`` keeps WL open after its change. All of it counts only while ``owned``;
    without that the switches know no mode but READ. After that the next read sets every line anew.
    """

    def __init__(self, geometry):
        super().__init__({
            "owned": Out(1), "row": Out(range(geometry.tile_rows)), "column": Out(range(geometry.tile_columns)),
            "array": Out(16), "wl": Out(1), "bl": Out(1), "sl": Out(1), "load": Out(1), "loaded": In(1),
            "connect": Out(1), "mode": Out(2), "settled": In(1), "connect_word": Out(1), "word_mode": Out(2),
            "hold": Out(1), "word_opened": In(1), "word_settled": In(1)})


class Lines(wiring.Component):
    """Shifts the pattern of the next read into the chains while the present one converts, and puts it on the lines when
    the next read is taken.

    Rows in use have WL bit and BL bit 1, the others 0; SL bits are all 0, the low gain range, or all 1, the high one.
    With `Board.array_bits` the array's number stands above the WL bits, at the far end of the chain. Streamed, the BL
    bits are the plane's. Lines move that do not hold yet what the read wants: none for one of the tile on the lines,
    but BL for every pass of a streamed one. The line switches go to READ and to no other mode but while a cell is
    programmed.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    connect : In(1)
        Once, after start-up: from all open (as after reset) to mode READ, all bits 0.
    steps : In(stream of `step_layout`), bits : In
        Reads, and with streamed ones the BL bits of each.
    staged : Out(stream of `step_layout`)
        The same reads, each valid once its pattern waits in the chains. Taking one changes the lines.
    halt : In(1), resting : Out(1)
        Stage nothing, and forget the pattern that waits in the chains; none waits, and all is connected.
    cell : In(`CellPort`)
        May become ``owned`` only between commands.
    clear : Out(1)
        The chains have cleared themselves after reset.
    settled : Out(1)
        All lines are connected as the read taken last wants them.
    {wl,bl,sl}_{ser,srclk,rclk,oe_n,srclr_n,mux_a,mux_b,mux_inh} : Out(1)
        The pins.
    """

    PINS = ("ser", "srclk", "rclk", "oe_n", "srclr_n", "mux_a", "mux_b", "mux_inh")

    def __init__(self, configuration):
        self._configuration = configuration
        steps = stream.Signature(step_layout(configuration))
        high = ("oe_n", "mux_inh")
        super().__init__({
            **({"bits": In(configuration.geometry.tile_rows)} if configuration.crossbar.streamed else {}),
            "connect": In(1), "cell": In(CellPort(configuration.geometry)), "steps": In(steps), "staged": Out(steps),
            "clear": Out(1), "settled": Out(1), "halt": In(1), "resting": Out(1),
            **{f"{line}_{pin}": Out(1, init=pin in high) for line in CHAINS for pin in self.PINS}})

    def elaborate(self, platform):
        m = Module()
        board, geometry = self._configuration.board, self._configuration.geometry
        cell = self.cell
        lengths = {"wl": geometry.tile_rows + board.array_bits, "bl": geometry.tile_rows, "sl": geometry.tile_columns}
        chains, switches = {}, {}
        for line in CHAINS:
            m.submodules[f"{line}_chain"] = chain = chains[line] = Chain(lengths[line], board)
            m.submodules[f"{line}_switch"] = switch = switches[line] = Switch(RESET + 1, board)
            mode = cell.word_mode if line == "wl" else cell.mode
            held = cell.owned & cell.hold if line == "wl" else 0
            m.d.comb += [switch.position.eq(Mux(cell.owned, mode, READ)), switch.hold.eq(chain.latching | held),
                         chain.latch.eq(switch.apply)]
            m.d.comb += [getattr(self, f"{line}_{pin}").eq(getattr(chain, pin)) for pin in self.PINS[:5]]
            m.d.comb += [getattr(self, f"{line}_mux_{pin}").eq(getattr(switch, pin)) for pin in ("a", "b", "inh")]
        m.d.comb += [self.settled.eq(Cat(switch.settled for switch in switches.values()).all()),
                     self.clear.eq(~Cat(chain.latching for chain in chains.values()).any())]

        step = self.steps.payload
        rows, array, high = Signal.like(step.rows), Signal(16), Signal()    # what the lines hold
        moves = {line: Signal(name=f"{line}_moves") for line in CHAINS}     # to what the next read wants
        same = Signal()
        rows_in_use = Cat(C(index) < step.rows for index in range(geometry.tile_rows))
        row, column = (Cat(index == number for index in range(count)) for number, count in (
            (cell.row, geometry.tile_rows), (cell.column, geometry.tile_columns)))
        streamed = self._configuration.crossbar.streamed
        m.d.comb += [
            moves["wl"].eq((step.rows != rows) | (step.array != array)),
            moves["bl"].eq(1 if streamed else step.rows != rows), moves["sl"].eq(step.high != high),
            same.eq(~Cat(moves.values()).any()),
            chains["wl"].words.payload.eq(Mux(
                cell.owned, Cat(Mux(cell.wl, row, 0), cell.array[:board.array_bits]),
                Cat(rows_in_use, step.array[:board.array_bits]))),
            chains["bl"].words.payload.eq(
                Mux(cell.owned, Mux(cell.bl, row, 0), self.bits if streamed else rows_in_use)),
            chains["sl"].words.payload.eq(Mux(cell.owned, Mux(cell.sl, column, 0), step.high.replicate(len(column)))),
            cell.loaded.eq(Cat(chain.loaded for chain in chains.values()).all()),
            cell.settled.eq(switches["bl"].settled & switches["sl"].settled),
            cell.word_opened.eq(switches["wl"].opened & ~chains["wl"].latching),
            cell.word_settled.eq(switches["wl"].settled),
            self.staged.payload.eq(step), self.steps.ready.eq(self.staged.valid & self.staged.ready),
        ]
        for line, switch in switches.items():
            m.d.comb += switch.change.eq(self.connect | (cell.owned & (
                cell.connect_word if line == "wl" else cell.connect)))
        with m.If(cell.owned):
            # no read has no rows: the next one does not find its lines as they were; a cell leaves SL at zeros
            m.d.sync += [rows.eq(0), high.eq(0)]

        with m.FSM():
            with m.State("Wait for a read"):
                with m.If(cell.owned & cell.load):
                    m.next = "Shift a cell"
                with m.Elif(self.halt | ~self.steps.valid):
                    m.d.comb += self.resting.eq(self.settled)
                with m.Elif(same & ~cell.owned):
                    m.next = "Ready"
                with m.Elif(~cell.owned):
                    m.next = "Shift"
            with m.State("Shift a cell"):
                given = Signal(len(chains))
                for index, chain in enumerate(chains.values()):
                    m.d.comb += chain.words.valid.eq(~given[index])
                    with m.If(chain.words.valid & chain.words.ready):
                        m.d.sync += given[index].eq(1)
                with m.If(cell.loaded):
                    m.d.sync += given.eq(0)
                    m.next = "Wait for a read"
            with m.State("Shift"):
                # the chains differ in length: each that moves takes its word once, and all of them must be done
                taken = Signal(len(chains))
                for index, (line, chain) in enumerate(chains.items()):
                    m.d.comb += chain.words.valid.eq(moves[line] & ~taken[index])
                    with m.If(chain.words.valid & chain.words.ready):
                        m.d.sync += taken[index].eq(1)
                with m.If(Cat(chain.loaded | ~moves[line] for line, chain in chains.items()).all()):
                    m.d.sync += taken.eq(0)
                    m.next = "Ready"
            with m.State("Ready"):
                m.d.comb += self.staged.valid.eq(1)
                with m.If(self.halt):
                    m.d.comb += [chain.drop.eq(1) for chain in chains.values()]
                    m.next = "Wait for a read"
                with m.Elif(self.staged.ready):
                    m.next = "Wait for a read"
                    with m.If(~same):
                        m.d.comb += [switch.change.eq(moves[line]) for line, switch in switches.items()]
                        m.d.sync += [rows.eq(step.rows), array.eq(step.array), high.eq(step.high)]
                        m.next = "Change lines"
            with m.State("Change lines"), m.If(Cat(switch.settled for switch in switches.values()).all()):
                m.next = "Wait for a read"
        return m
