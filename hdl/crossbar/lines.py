"""The lines of the array: which rows of which array are driven."""

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..pins import CHAINS
from .chain import Chain
from .switch import Switch
from .walk import step_layout

__all__ = ["READ", "SAFE", "Lines"]

SAFE, READ = 0, 1   # modes of the line switches: all lines to ground; V_WL_RD, VRD or VCM, low gain


class Lines(wiring.Component):
    """Shifts the pattern of the next read into the chains while the present one converts, and puts it on the lines when
    the next read is taken.

    Rows in use have WL bit and BL bit 1, the others 0; SL bits stay 0, the low gain. With `Board.array_bits` the
    array's number stands above the WL bits, at the far end of the chain. A read of the tile on the lines changes
    nothing. The line switches know modes SAFE and READ alone: their B is never driven high.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    connect : In(1)
        Once, after start-up: from all open (as after reset) to mode READ, all bits 0.
    steps : In(stream of `step_layout`)
    staged : Out(stream of `step_layout`)
        The same reads, each valid once its pattern waits in the chains. Taking one changes the lines.
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
            "connect": In(1), "steps": In(steps), "staged": Out(steps), "clear": Out(1), "settled": Out(1),
            **{f"{line}_{pin}": Out(1, init=pin in high) for line in CHAINS for pin in self.PINS}})

    def elaborate(self, platform):
        m = Module()
        board, geometry = self._configuration.board, self._configuration.geometry
        lengths = {"wl": geometry.tile_rows + board.array_bits, "bl": geometry.tile_rows, "sl": geometry.tile_columns}
        chains, switches = {}, {}
        for line in CHAINS:
            m.submodules[f"{line}_chain"] = chain = chains[line] = Chain(lengths[line], board)
            m.submodules[f"{line}_switch"] = switch = switches[line] = Switch(READ + 1, board)
            m.d.comb += [switch.position.eq(READ), switch.hold.eq(chain.latching), chain.latch.eq(switch.apply)]
            m.d.comb += [getattr(self, f"{line}_{pin}").eq(getattr(chain, pin)) for pin in self.PINS[:5]]
            m.d.comb += [getattr(self, f"{line}_mux_{pin}").eq(getattr(switch, pin)) for pin in ("a", "b", "inh")]
        m.d.comb += [self.settled.eq(Cat(switch.settled for switch in switches.values()).all()),
                     self.clear.eq(~Cat(chain.latching for chain in chains.values()).any())]

        step = self.steps.payload
        moving = (switches["wl"], switches["bl"])
        rows, array = Signal.like(step.rows), Signal(16)    # what the lines hold
        same = Signal()
        rows_in_use = Cat(C(index) < step.rows for index in range(geometry.tile_rows))
        m.d.comb += [
            same.eq((step.rows == rows) & (step.array == array)),
            chains["wl"].words.payload.eq(Cat(rows_in_use, step.array[:board.array_bits])),
            chains["bl"].words.payload.eq(rows_in_use),
            self.staged.payload.eq(step), self.steps.ready.eq(self.staged.valid & self.staged.ready),
        ]
        for switch in switches.values():
            m.d.comb += switch.change.eq(self.connect)

        with m.FSM():
            with m.State("Wait for a read"), m.If(self.steps.valid):
                with m.If(same):
                    m.next = "Ready"
                with m.Else():
                    m.next = "Shift"
            with m.State("Shift"):
                # the chains differ in length: each takes its word once, and both must be done
                both = [chains[line] for line in ("wl", "bl")]
                taken = Signal(2)
                for index, chain in enumerate(both):
                    m.d.comb += chain.words.valid.eq(~taken[index])
                    with m.If(chain.words.valid & chain.words.ready):
                        m.d.sync += taken[index].eq(1)
                with m.If(Cat(chain.loaded for chain in both).all()):
                    m.d.sync += taken.eq(0)
                    m.next = "Ready"
            with m.State("Ready"):
                m.d.comb += self.staged.valid.eq(1)
                with m.If(self.staged.ready):
                    m.next = "Wait for a read"
                    with m.If(~same):
                        m.d.comb += [switch.change.eq(1) for switch in moving]
                        m.d.sync += [rows.eq(step.rows), array.eq(step.array)]
                        m.next = "Change lines"
            with m.State("Change lines"), m.If(Cat(switch.settled for switch in moving).all()):
                m.next = "Wait for a read"
        return m
