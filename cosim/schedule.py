"""The schedule of crossbar reads as it happens at the pins: recorded in simulation, drawn as a Gantt chart.

Every bar but two kinds is what a pin did: DAC frames from their chip selects, switches from their INH, lines from their
shift clocks, conversions from the ADCs' CS, the LoRA unit from the beats that enter and leave it. The settling times
have no pin: they are drawn from the event that starts them, as long as the board's description says.
"""

import ctypes
import dataclasses

import numpy as np
from matplotlib.figure import Figure
from rmdlora.golden.spec.refusal import need_integer

from .drawing import AFTER, ANALOGUE, BAD, BEFORE, DIGITAL, GRID, QUIET
from .measure.crossbar import Bench
from .native import NativeLane

__all__ = ["Schedule", "draw_schedule", "record_schedule"]

LINES = ("wl", "bl", "sl")
PINS = ("dac_cs_n", "adc_cs_n", "adc_mux_inh", "adc_mux_a", "adc_mux_b",
        *(f"{line}_{pin}" for line in LINES for pin in ("srclk", "rclk", "mux_inh")))
PAUSE = 64      # clocks without a change that end a burst of a clock pin
# row of the chart: {kind of span: (colour, what the legend calls it)}
ROWS = {
    "x beats": {"down": (DIGITAL, "operands taken (down-projection)")},
    "DAC": {"frame": (BEFORE, "DAC frame"), "trigger": (BAD, "TRIGGER: all rows change"),
            "settle": ("#a9c3d6", "DAC and stage settle")},
    "lines": {"shift": ("#8d99a6", "lines' bits shifted"), "open": (AFTER, "switch open (INH)")},
    "ADC switch": {"open": (AFTER, None), "connect": ("#f3c9b3", "switch and stage settle")},
    "ADC": {"sample": ("#8cc5bf", "sample"), "convert": (ANALOGUE, "convert, codes out")},
    "y beats": {"up": (DIGITAL, "results leave (up-projection)")},
}


class Recorder(NativeLane):
    """A chip on its board whose pins are looked at in every clock of `run_until_idle` and `run_until_high`."""

    def __init__(self, configuration):
        super().__init__(configuration, board=True)
        self.changes = {pin: [] for pin in PINS}
        self.places = {}
        for pin in PINS:
            kind = ctypes.c_uint8 if self.model.ports[f"pin_{pin}"][1] <= 8 else ctypes.c_uint16
            self.places[pin] = kind.from_address(self.model.address(f"pin_{pin}"))
        self.levels = dict.fromkeys(PINS)

    def run(self, clocks):
        """Up to ``clocks`` clocks, one by one; whether everything is idle."""
        for _ in range(clocks):
            idle = super().run(1)
            self.look()
            if idle:
                return True
        return False

    def run_until_high(self, port, limit):
        """Up to ``limit`` clocks, one by one, until the output ``port`` is high."""
        for _ in range(limit):
            if self.model.io[port] & 1:
                break
            self.advance(1)
            self.look()
        super().run_until_high(port, 1)

    def look(self):
        """Note the pins that have changed."""
        for pin, place in self.places.items():
            if (level := place.value) != self.levels[pin]:
                self.levels[pin] = level
                self.changes[pin].append((self.cycles, level))


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Reads of one full tile, from the clock that accepts the operation (0) to its last result.

    ``spans`` {row: {kind: [(first, end)]}} in clocks, rows and kinds as of ``ROWS``; ``falls``: clock of each
    conversion's CS fall; ``clocks``: all of them; ``adc_busy`` as of `rmdlora bench crossbar`.
    """

    configuration: object
    vectors: int
    spans: dict
    falls: np.ndarray
    clocks: int

    @property
    def adc_busy(self):
        """Conversion clocks over clocks from the start to the end of the last conversion."""
        ticks = self.configuration.board.conversion_ticks
        return ticks * len(self.falls) / float(self.falls[-1] + ticks)

    @property
    def period(self):
        """Clocks from a read's first conversion to the next read's, in the steady state; None for one read."""
        each = len(self.falls) // self.vectors
        return int(self.falls[-each] - self.falls[-2 * each]) if self.vectors > 1 else None

    def bound(self):
        """What bounds the rate, in words with its numbers."""
        board, rows = self.configuration.board, self.configuration.geometry.tile_rows
        each = len(self.falls) // self.vectors
        limits = {f"{each} conversions of {board.conversion_ticks} clocks": each * board.conversion_ticks,
                  f"{rows + 1} DAC frames of {board.frame_ticks} clocks": (rows + 1) * board.frame_ticks}
        names = sorted(limits, key=limits.get, reverse=True)
        return f"bound by {names[0]} ({limits[names[0]]:,} a read; {names[1]}: {limits[names[1]]:,})"

    def title(self):
        """What the chart shows, in two lines."""
        rate = "" if self.period is None else f", {self.period:,} clocks a read in the steady state"
        return (f"{self.vectors} read{'s' if self.vectors > 1 else ''} of a full tile: {self.clocks:,} clocks{rate}; "
                f"ADCs busy {100 * self.adc_busy:.1f} %\n{self.bound()}")


def record_schedule(configuration, vectors):
    """The `Schedule` of ``vectors`` (1 to 64) reads of one full tile, simulated at the pins.

    Every code is compared with the oracle's and every part's timing is checked on the way (`measure.crossbar.Bench`).
    """
    need_integer("reads of a schedule", vectors, 1, 64)
    lane = Recorder(configuration)
    bench = Bench(configuration, configuration.tile_outputs, configuration.geometry.tile_rows,
                  rank=min(8, configuration.geometry.max_rank), lane=lane)
    for changes in lane.changes.values():
        changes.clear()
    first, last = bench.read(vectors, active=(1 << bench.layer.rank) - 1)
    traces = {pin: [(clock - first, level) for clock, level in changes] for pin, changes in lane.changes.items()}
    spans = find_spans(traces, configuration.board, configuration.board.dacs(configuration.geometry.tile_rows))
    for row, kind, stream in (("x beats", "down", "x"), ("y beats", "up", "y")):
        spans[row] = {kind: bursts([int(clock) - first for clock in bench.driver.moved[stream].clocks])}
    falls = np.array([start for start, _ in spans["ADC"]["sample"]])
    lane.close()
    return Schedule(configuration, vectors, spans, falls, last - first + 1)


def find_spans(traces, board, dacs):
    """``{row: {kind: [(first, end)]}}`` of what pins did: ``traces`` {pin: [(clock, level)]}."""
    all_rows = (1 << dacs) - 1
    frames = intervals(traces["dac_cs_n"], lambda level: level & all_rows != all_rows)
    levels = dict(traces["dac_cs_n"])
    triggers = [span for span in frames if levels[span[0]] & all_rows == 0]
    single = [span for span in frames if levels[span[0]] & all_rows != 0]
    settle = board.dac_settle_ticks + board.tia_settle_ticks
    opened = intervals(traces["adc_mux_inh"], bool)
    conversions = intervals(traces["adc_cs_n"], lambda level: not level)
    hold = 2 * board.adc_half_ticks * board.adc_hold_clocks
    shifted = [clock for line in LINES for clock, _ in traces[f"{line}_srclk"]]
    switched = [span for line in LINES for span in intervals(traces[f"{line}_mux_inh"], bool)]
    return {
        "DAC": {"frame": single, "trigger": triggers, "settle": [(end, end + settle) for _, end in triggers]},
        "lines": {"shift": bursts(sorted(shifted)), "open": sorted(set(switched))},
        "ADC switch": {"open": opened, "connect": [(end, end + board.connect_ticks + board.tia_settle_ticks)
                                                   for _, end in opened]},
        "ADC": {"sample": [(start, start + hold) for start, _ in conversions],
                "convert": [(start + hold, end) for start, end in conversions]},
    }


def intervals(trace, holds):
    """``[(first, end)]`` in which the level of a trace ``[(clock, level)]`` satisfies ``holds`` and then no more."""
    found, start = [], None
    for clock, level in trace:
        if start is None and holds(level):
            start = clock
        elif start is not None and not holds(level):
            found.append((start, clock))
            start = None
    return found


def bursts(clocks):
    """``[(first, end)]`` of stretches of ``clocks`` without a pause."""
    found = []
    for clock in clocks:
        if found and clock - found[-1][1] <= PAUSE:
            found[-1][1] = clock + 1
        else:
            found.append([clock, clock + 1])
    return [tuple(span) for span in found]


def draw_schedule(schedule):
    """The chart of a `Schedule`, a matplotlib figure: time in microseconds, a row a part."""
    tick_us = 1e6 / schedule.configuration.clock.frequency_hz
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots()
    for place, (row, kinds) in enumerate(ROWS.items()):
        for kind, (colour, label) in kinds.items():
            given = schedule.spans[row].get(kind, [])
            bars = [(start * tick_us, (end - start) * tick_us) for start, end in given]
            height = 0.36 if kind in ("settle", "connect") else 0.68
            axes.broken_barh(bars, (-place - height / 2, height), facecolor=colour, edgecolor=colour, linewidth=0.4,
                             label=label, clip_on=False)
    each = len(schedule.falls) // schedule.vectors
    for fall in schedule.falls[::each]:
        axes.axvline(fall * tick_us, color=QUIET, linewidth=0.6, linestyle=":")
    axes.set_yticks(-np.arange(len(ROWS)), list(ROWS))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, schedule.clocks * tick_us)
    axes.set_xlabel("time from the acceptance of the operation, µs")
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.set_title(schedule.title(), loc="left")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure
