"""The chip: registers, queue, slot table, LoRA unit, walker, buffer and crossbar peripheral, connected."""

from amaranth.hdl import Cat, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rmdlora.golden.spec.formats import container_bits
from rmdlora.golden.spec.registers import ADDRESS_BITS, PULSES

from .axi import AxiLite, AxiLiteSlave, AxiStream, BeatIn, BeatOut, LastBeat
from .buffer import Buffer, Exchanger, PagedBuffer, RowShare, Walker
from .check import OperationCheck
from .counters import Counters
from .crossbar import Crossbar
from .dispatch import Dispatcher, OperandRouter, Watchdog
from .lora import LoraUnit
from .operation import OperationQueue, pack_operation
from .pins import BoardPins
from .registers import RegisterBank
from .slots import SlotTable
from .windows import Windows

__all__ = ["Chip", "chip_members"]


def chip_members(configuration):
    """The members of a configuration's `Chip`, for whoever needs its ports and not the chip."""
    axis = {}
    for name, key in configuration.streams.items():
        container = container_bits(getattr(configuration.formats, key))
        flow = In if name.startswith("s_") else Out
        axis[name] = flow(AxiStream(configuration.lora.beat_elements * container))
    return {"s_axil": In(AxiLite(ADDRESS_BITS)), **axis, "irq": Out(1), "running": Out(1),
            **BoardPins(configuration).members}


class Chip(wiring.Component):
    """Everything between the processor and the board. One clock, ``clk``, and one synchronous reset, ``rst``.

    ``CONTROL.soft_reset`` resets queue, units and result streams (``tvalid`` may fall without ``tready``), a clock
    after it is written; registers, counters, the buffer's memories and the random generators keep what they hold. The
    slot table and the buffer's memories keep it through ``rst`` too.

    Parameters
    ----------
    configuration : Configuration

    Members
    -------
    s_axil : registers and windows (`golden.spec.registers`), AXI4-Lite.
    s_axis_x, s_axis_c, s_axis_g, m_axis_y, m_axis_dx : operands and results, AXI4-Stream; beats as in
        `golden.spec.geometry`, each code sign-extended in a container of 8, 16, 32 or 64 bits, element 0 lowest.
    s_axis_load, m_axis_store : of a paged configuration, row words that enter and leave pages of the buffer.
    irq : high while an enabled interrupt is pending.
    running : high from the clock in which the LoRA unit starts an operation (an exchange of pages, where there is
        nothing else to do) to its last one: what the cycle counters count.
    the board's signals : see `BoardPins`.
    """

    def __init__(self, configuration):
        self.configuration = configuration
        self.pins = BoardPins(configuration)
        super().__init__(chip_members(configuration))

    def elaborate(self, platform):
        m = Module()
        configuration = self.configuration
        soft_reset, abandoned = Signal(), Signal()

        def unit(component, reset=soft_reset):
            """``component``, reset by a soft reset too."""
            return ResetInserter(reset)(component)

        m.submodules.axi = axi = AxiLiteSlave(ADDRESS_BITS)
        m.submodules.windows = windows = Windows(configuration)
        m.submodules.registers = registers = RegisterBank(configuration)
        m.submodules.counters = counters = Counters()
        m.submodules.buffer = buffer = (PagedBuffer if configuration.paged else Buffer)(configuration)
        queue, check, dispatcher = OperationQueue(), OperationCheck(configuration), Dispatcher()
        router, watchdog = OperandRouter(configuration), Watchdog()
        lora, crossbar = LoraUnit(configuration), Crossbar(configuration)
        m.submodules.queue, m.submodules.check, m.submodules.dispatcher = unit(queue), unit(check), unit(dispatcher)
        m.submodules.watchdog = unit(watchdog)
        slots, share, walker = SlotTable(), RowShare(configuration), Walker(configuration)
        m.submodules.slots, m.submodules.share, m.submodules.walker = slots, share, unit(walker)
        m.submodules.router, m.submodules.lora = unit(router, abandoned), unit(lora, abandoned)
        m.submodules.crossbar = unit(crossbar)
        exchanger = Exchanger(configuration) if configuration.paged else None

        # Host
        wiring.connect(m, wiring.flipped(self.s_axil), axi.axi)
        wiring.connect(m, axi.access, windows.access)
        wiring.connect(m, windows.registers, registers.access)
        wiring.connect(m, windows.host, buffer.host)
        wiring.connect(m, windows.cells, crossbar.cells)
        wiring.connect(m, lora.rows, share.unit)
        wiring.connect(m, walker.rows, share.walker)
        wiring.connect(m, share.rows, buffer.rows)
        m.d.comb += share.walks.eq(walker.running)
        wiring.connect(m, registers.slot, slots.port)
        generator, state = lora.generator, registers.generator
        m.d.comb += [generator.lane.eq(state.index), generator.w_en.eq(state.w_en), generator.w_data.eq(state.w_data),
                     state.r_data.eq(generator.r_data)]

        # Operations
        m.d.comb += [*pack_operation(slots.described, registers), queue.operation.eq(slots.resolved)]
        m.d.comb += [queue.start.eq(registers.op_start.strobe), registers.op_start.refuse.eq(queue.refuse)]
        wiring.connect(m, queue.o, check.i)
        wiring.connect(m, check.o, dispatcher.i)
        wiring.connect(m, dispatcher.lora, lora.operation)
        wiring.connect(m, dispatcher.walker, walker.operation)
        m.d.comb += [dispatcher.walker_done.eq(walker.done), dispatcher.walker_fault.eq(walker.fault)]
        command, operation = crossbar.command, dispatcher.crossbar
        m.d.comb += [command.valid.eq(operation.valid), operation.ready.eq(command.ready),
                     *(command.payload[field].eq(operation.payload[field])
                       for field in ("vectors", "inputs", "outputs", "tile", "high")),
                     check.idle.eq(dispatcher.idle), check.board_ready.eq(crossbar.ready),
                     check.halted.eq(dispatcher.abandon | dispatcher.halted), crossbar.abandon.eq(dispatcher.abandon),
                     dispatcher.crossbar_busy.eq(crossbar.busy), dispatcher.crossbar_waits.eq(crossbar.waits),
                     dispatcher.crossbar_fault.eq(crossbar.fault), abandoned.eq(soft_reset | dispatcher.abandon),
                     dispatcher.lora_done.eq(lora.done), dispatcher.program_done.eq(crossbar.job_done),
                     self.running.eq(lora.running | (exchanger.running if exchanger else 0))]

        # Pages
        if exchanger:
            m.submodules.exchanger = unit(exchanger, abandoned)
            wiring.connect(m, dispatcher.exchange, exchanger.operation)
            wiring.connect(m, exchanger.rows, buffer.exchanged)
            m.d.comb += [dispatcher.exchange_done.eq(exchanger.done), exchanger.unit_runs.eq(lora.running),
                         buffer.exchanges.eq(exchanger.running), buffer.page.eq(exchanger.page)]

        # Programming
        job, asked, program = crossbar.job, dispatcher.program, registers.program_control
        m.d.comb += [job.valid.eq(asked.valid), asked.ready.eq(job.ready), job.payload.tile.eq(asked.payload.tile),
                     *(job.payload[name].eq(program[name]) for name in ("forming", "analyser", "limit"))]
        for index, kind in enumerate(PULSES):
            pulse = job.payload.pulses[index]
            amplitude, bounds, ticks = (getattr(registers, f"program_{kind}_{part}".lower())
                                        for part in ("AMPLITUDE", "BOUNDS", "TICKS"))
            m.d.comb += [pulse.start.eq(amplitude.start), pulse.step.eq(amplitude.step), pulse.most.eq(bounds.most),
                         pulse.gate.eq(bounds.gate), pulse.ticks.eq(ticks.value)]

        # Operands
        routes = {"s_axis_x": router.i_x, "s_axis_c": router.host_c, "s_axis_g": lora.g}
        results = {"m_axis_y": (lora.y, dispatcher.current.outputs), "m_axis_dx": (lora.dx, dispatcher.current.inputs)}
        if exchanger:
            routes["s_axis_load"] = exchanger.load
        for name, key in configuration.streams.items():
            outside, bits = getattr(self, name), getattr(configuration.formats, key)
            if name in routes:
                m.submodules[name] = beats = BeatIn(bits, configuration.lora.beat_elements)
                wiring.connect(m, wiring.flipped(outside), beats.axis)
                wiring.connect(m, beats.o, routes[name])
                continue
            m.submodules[name] = beats = BeatOut(bits, configuration.lora.beat_elements)
            if name not in results:
                wiring.connect(m, exchanger.store, beats.i)
                wiring.connect(m, beats.axis, wiring.flipped(outside))
                m.d.comb += beats.last.eq(exchanger.last)
                continue
            inside, positions = results[name]
            m.submodules[f"{name}_last"] = last = LastBeat(configuration.lora)
            wiring.connect(m, inside, beats.i)
            wiring.connect(m, beats.axis, wiring.flipped(outside))
            m.d.comb += [last.start.eq(dispatcher.started), last.vectors.eq(dispatcher.current.vectors),
                         last.positions.eq(positions), last.moved.eq(outside.tvalid & outside.tready),
                         beats.last.eq(last.last)]
        wiring.connect(m, router.lora_x, lora.x)
        wiring.connect(m, router.lora_c, lora.c)
        wiring.connect(m, router.crossbar_x, crossbar.x)
        wiring.connect(m, crossbar.c, router.crossbar_c)
        m.d.comb += [router.uses_crossbar.eq(dispatcher.uses_crossbar), router.operands.eq(dispatcher.operands)]

        moves = [getattr(self, name).tvalid & getattr(self, name).tready for name in configuration.streams]
        m.d.comb += [watchdog.waits.eq(dispatcher.waits), watchdog.moved.eq(Cat(moves, crossbar.converted).any()),
                     watchdog.timeout.eq(registers.timeout.value), dispatcher.expired.eq(watchdog.expired),
                     dispatcher.pending.eq(registers.fault.word.code)]

        # Status, counters, interrupts
        clear = registers.control.word.clear_counters
        m.d.sync += soft_reset.eq(registers.control.word.soft_reset)
        m.d.comb += [
            counters.running.eq(self.running), counters.kind.eq(dispatcher.current.kind),
            counters.fault.eq(dispatcher.fault), registers.updates.eq(counters.updates),
            registers.erasures.eq(counters.erasures), registers.checksum.eq(walker.checksum),
            counters.ended.eq(dispatcher.ended), counters.clear.eq(clear), crossbar.clear.eq(clear),
            registers.completed.eq(counters.completed), registers.cycles.eq(counters.clocks),
            registers.cycles_forward.eq(counters.forward), registers.cycles_backward.eq(counters.backward),
            registers.cycles_update.eq(counters.update), registers.conversions.eq(crossbar.conversions),
            registers.tile_reads.eq(crossbar.tile_reads), registers.pulses.eq(crossbar.pulses),
            registers.given_up.eq(crossbar.given_up), registers.verifies.eq(crossbar.verifies),
            crossbar.shown.eq(registers.program_tile.value), registers.tile_pulses.eq(crossbar.tile_pulses),
            registers.frames.eq(crossbar.frames), buffer.clear.eq(clear),
            registers.corrected.eq(buffer.corrected), registers.uncorrectable.eq(buffer.uncorrectable),
            registers.status.busy.eq(~dispatcher.idle | check.holding | (queue.level != 0)),
            registers.status.queued.eq(queue.level + check.holding),
            registers.status.board_ready.eq(crossbar.ready), registers.status.board_fault.eq(crossbar.failed),
            registers.status.halted.eq(dispatcher.halted), registers.saturated.eq(crossbar.saturated),
            registers.fault.set.code.eq(dispatcher.fault),
            registers.interrupt.set.done.eq(dispatcher.ended), registers.interrupt.set.fault.eq(registers.fault.taken),
            self.irq.eq((registers.interrupt.word.as_value() & registers.interrupt_enable.as_value()).any())]

        # Board
        for name in self.pins.members:
            inside, outside = getattr(crossbar.pins, name), getattr(self, name)
            m.d.comb += outside.eq(inside) if self.pins.members[name].flow == Out else inside.eq(outside)
        return m
