"""Pictures of the cells: a programmed map and its errors, pulses against tolerance, and presets beside measured data.

Every figure is drawn from numbers of its own function, so that whoever wants the numbers need not read a picture:
`program_map` and `draw_map`, `count_pulses` and `draw_pulses`, `compare_retention` and `draw_retention`,
`compare_switching` and `draw_switching`. Where the measured data is not there (`fit.open_data`), the last two show the
model alone.
"""

import dataclasses

import numpy as np
from matplotlib.figure import Figure
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.presets import PRESETS
from rmdlora.golden.spec.program import CellStatus, Schedule, verify_code
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.retention import RETENTION_1T1R
from rmdlora.golden.spec.taox_pulses import PITCH, TABLES

from .array import Array
from .device import DeviceModel
from .drawing import AFTER, ANALOGUE, BAD, BEFORE, GRID, QUIET
from .fit import LEVELS, baked, fit_taox_pulses, open_data, staircase
from .programmer import map_codes, program_tile

__all__ = ["compare_retention", "compare_switching", "count_pulses", "draw_map", "draw_pulses", "draw_retention",
           "draw_switching", "program_map"]

TOLERANCES_US = (1.0, 2.0, 4.0, 8.0)
PUBLISHED = {1.0: 50.0}             # mean cycles of arXiv 2601.10037; at 2 uS it says "tens"
TENS_US, TENS = 2.0, (10.0, 99.0)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
YEAR_S = 365.25 * 86400
LARGEST = 32        # rows and columns of a map shown


def on_preset(configuration, preset, **device):
    """``configuration`` with one array and that device ``preset``."""
    return dataclasses.replace(
        configuration, crossbar=dataclasses.replace(configuration.crossbar, arrays=1),
        device=dataclasses.replace(configuration.device, preset=preset, **device))


@dataclasses.dataclass(frozen=True)
class ProgrammedMap:
    """A tile as it was wanted and as it came: ``targets_us``, ``reached_us`` float64, ``pulses``, ``status`` int64, all
    (rows, columns); ``tolerance_us``; ``used``: share of its endurance that each cell spent on it; ``clocks``."""

    preset: str
    targets_us: np.ndarray
    reached_us: np.ndarray
    pulses: np.ndarray
    status: np.ndarray
    tolerance_us: float
    used: np.ndarray
    clocks: int

    @property
    def given_up(self):
        """Cells given up: bool (rows, columns)."""
        return self.status == CellStatus.GIVEN_UP

    @property
    def figures(self):
        """Its figures, flat."""
        error = self.reached_us - self.targets_us
        return {"map_preset": self.preset, "map_tolerance_us": self.tolerance_us,
                "map_mean_pulses": float(self.pulses.mean()), "map_given_up": int(self.given_up.sum()),
                "map_error_std_us": float(error[~self.given_up].std()), "map_clocks": self.clocks,
                "map_endurance_used_mean": float(self.used.mean()), "map_endurance_used_max": float(self.used.max())}


def program_map(configuration, preset=None, tolerance_us=2.0, limit=400):
    """A `ProgrammedMap`: normal weights on one tile through the loop that the gateware runs, pulse by pulse.

    ``preset``: by default the configuration's, and `paper` where that is `ideal`. At most ``limit`` pulses a cell. Of a
    tile larger than 32 x 32 that much is programmed and shown.
    """
    preset = preset or (configuration.device.preset if configuration.device.preset != "ideal" else "paper")
    configuration = on_preset(configuration, preset)
    weights = np.random.default_rng(1).normal(size=(configuration.tile_outputs, configuration.geometry.tile_rows))
    targets = map_weights(weights, configuration)[0]
    array = Array(configuration)
    lsb = configuration.device.g_lsb_us
    shown = np.s_[:LARGEST, :LARGEST]
    skip = np.ones(targets.shape, bool)
    skip[shown] = False
    done = program_tile(array, 0, map_codes(targets, configuration),
                        verify_code(configuration.device.units(tolerance_us), configuration), Schedule(limit=limit),
                        skip)
    return ProgrammedMap(preset, targets[shown] * lsb, array.conductances[0][shown] * lsb, done.pulses[shown],
                         done.status[shown], tolerance_us, array.used_endurance[0][shown], done.cycles)


def draw_map(programmed):
    """The `ProgrammedMap`: wanted, reached, pulses a cell, errors."""
    figure = Figure(figsize=(9.4, 2.7))
    low, high = programmed.targets_us.min(), programmed.targets_us.max()
    for place, (title, values, limits, colours) in enumerate((
            ("wanted, uS", programmed.targets_us, (low, high), "viridis"),
            ("reached, uS", programmed.reached_us, (low, high), "viridis"),
            ("pulses", programmed.pulses, (0, None), "magma"))):
        axes = figure.add_subplot(1, 4, place + 1)
        image = axes.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1])
        if place == 1:
            rows, columns = np.nonzero(programmed.given_up)
            axes.plot(columns, rows, "x", color=BAD, ms=4)
        axes.set_title(title)
        axes.set_xticks([])
        axes.set_yticks([])
        figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    axes = figure.add_subplot(1, 4, 4)
    error = (programmed.reached_us - programmed.targets_us)[~programmed.given_up]
    reach = 1.5 * programmed.tolerance_us
    axes.hist(error, bins=np.linspace(-reach, reach, 31), color=ANALOGUE)
    for end in (-programmed.tolerance_us, programmed.tolerance_us):
        axes.axvline(end, color=QUIET, lw=0.8, ls="--")
    axes.set_xlabel("reached - wanted, uS")
    axes.set_title(f"cells; {int(programmed.given_up.sum())} given up")
    figure.tight_layout(pad=0.5)
    return figure


def count_pulses(configuration, preset="paper", tolerances_us=TOLERANCES_US, cells=256, limit=2000):
    """Mean pulses a cell by tolerance in uS, {tolerance: (mean, standard error, given up)}.

    ``cells`` random targets of the window, each run on a fresh tile, by the loop that the gateware runs.
    """
    configuration = on_preset(configuration, preset)
    generator, counts = np.random.default_rng(2), {}
    shape = (configuration.geometry.tile_rows, configuration.geometry.tile_columns)
    device = configuration.device
    for tolerance in tolerances_us:
        targets = generator.integers(device.units(device.g_min_us), device.units(device.g_max_us) + 1, shape)
        skip = np.ones(shape, bool)
        skip.flat[generator.choice(skip.size, min(cells, skip.size), replace=False)] = False
        done = program_tile(Array(configuration), 0, map_codes(targets, configuration),
                            verify_code(device.units(tolerance), configuration), Schedule(limit=limit), skip)
        pulses = done.pulses[~skip]
        counts[tolerance] = (float(pulses.mean()), float(pulses.std() / np.sqrt(len(pulses))),
                             int((done.status == CellStatus.GIVEN_UP).sum()))
    return counts


def draw_pulses(counts, preset="paper"):
    """Pulses against tolerance (`count_pulses`), the published figures, and the law they are read as."""
    figure = Figure(figsize=(4.6, 2.9))
    axes = figure.add_subplot()
    tolerances = np.array(sorted(counts))
    means, errors = (np.array([counts[tolerance][place] for tolerance in tolerances]) for place in (0, 1))
    axes.errorbar(tolerances, means, 2 * errors, fmt="o-", color=ANALOGUE, ms=5, label=f"preset {preset}")
    if preset == "paper":
        law = np.geomspace(tolerances[0], tolerances[-1], 50)
        axes.plot(law, 1.25 * PRESETS["paper"].program_us / law, color=GRID, zorder=0,
                  label="a normal landing of 40 uS")
        axes.plot(list(PUBLISHED), list(PUBLISHED.values()), "D", mfc="none", mec=AFTER, ms=9, label='published: "~50"')
        axes.plot([TENS_US] * 2, TENS, color=AFTER, lw=2, alpha=0.6, label='published: "tens"')
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(tolerances, [f"{tolerance:g}" for tolerance in tolerances])
    axes.set_xlabel("tolerance, +- uS")
    axes.set_ylabel("pulses a cell, mean")
    axes.grid(axis="y", color=GRID)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout(pad=0.4)
    return figure


@dataclasses.dataclass(frozen=True)
class RetentionComparison:
    """Cells of the 1T1R array by level, uS: ``before`` (levels,) medians; ``after`` and ``model`` (levels, 5) quantiles
    `QUANTILES` after the bake, measured and of the model begun where the measured cells stood; ``measured`` is None,
    and the model begins at the levels, where the data is not there."""

    before: np.ndarray
    measured: np.ndarray | None
    model: np.ndarray

    @property
    def figures(self):
        """Its figures, flat."""
        if self.measured is None:
            return {}
        off = self.model - self.measured
        return {"retention_median_rms_error_us": float(np.sqrt((off[:, 2] ** 2).mean())),
                "retention_quantile_rms_error_us": float(np.sqrt((off ** 2).mean()))}


def compare_retention(folder=None, copies=32):
    """A `RetentionComparison`; the model draws ``copies`` of every cell. ``folder`` as of `fit.open_data`."""
    try:
        before, after = baked(open_data("1t1r", folder), "relaxation")
        level = (np.arange(LEVELS ** 2) + np.arange(LEVELS ** 2) // LEVELS) % LEVELS
    except Refusal:
        before, after = np.repeat(np.linspace(5.0, 245.0, LEVELS), LEVELS), None
        level = np.repeat(np.arange(LEVELS), LEVELS)
    configuration = on_preset(load_configuration("default"), "1t1r")
    draws = np.random.default_rng(3).normal(size=(copies, len(before)))
    model = DeviceModel(configuration.device).drift(before, RETENTION_1T1R.bake_s, draws)
    order = np.argsort([np.median(before[level == index]) for index in range(LEVELS)])
    medians, measured, modelled = [], [], []
    for index in order:
        cells = level == index
        medians.append(np.median(before[cells]))
        modelled.append(np.quantile(model[:, cells], QUANTILES))
        if after is not None:
            measured.append(np.quantile(after[cells], QUANTILES))
    return RetentionComparison(np.array(medians), np.array(measured) if measured else None, np.array(modelled))


def draw_retention(comparison):
    """Change in the bake, measured and modelled, and the share of it that other times and temperatures make."""
    figure = Figure(figsize=(9.0, 3.0))
    axes = figure.add_subplot(1, 2, 1)
    start = comparison.before
    axes.fill_between(start, comparison.model[:, 0] - start, comparison.model[:, 4] - start, color=ANALOGUE, alpha=0.15,
                      lw=0, label="model, 5 to 95 %")
    axes.fill_between(start, comparison.model[:, 1] - start, comparison.model[:, 3] - start, color=ANALOGUE, alpha=0.35,
                      lw=0, label="25 to 75 %")
    axes.plot(start, comparison.model[:, 2] - start, color=ANALOGUE, label="median")
    if comparison.measured is not None:
        change = comparison.measured - start[:, None]
        axes.errorbar(start, change[:, 2], (change[:, 2] - change[:, 1], change[:, 3] - change[:, 2]), fmt="o", ms=3,
                      color=AFTER, lw=1, label="measured, 25 to 75 %")
        axes.plot(np.repeat(start, 2), change[:, [0, 4]].ravel(), "_", color=AFTER, ms=4, label="measured, 5 and 95 %")
    axes.set_xlabel("before the bake, uS")
    axes.set_ylabel("change in 30 min at 80 degC, uS")
    axes.set_title("1T1R array, 32 levels" + ("" if comparison.measured is not None else " (measured data not there)"))
    axes.legend(frameon=False, fontsize=7, loc="lower right")
    axes = figure.add_subplot(1, 2, 2)
    seconds = np.geomspace(1.0, 10 * YEAR_S, 200)
    for celsius, colour in ((25, BEFORE), (55, ANALOGUE), (85, AFTER)):
        axes.plot(seconds, [RETENTION_1T1R.growth(RETENTION_1T1R.equivalent_s(second, celsius)) for second in seconds],
                  color=colour, label=f"{celsius} degC")
    for second, text in ((3600, "hour"), (86400, "day"), (YEAR_S, "year"), (10 * YEAR_S, "10 years")):
        axes.axvline(second, color=GRID, lw=0.8, zorder=0)
        axes.text(second, 0.02, text, rotation=90, fontsize=7, color=QUIET, ha="right", va="bottom")
    axes.set_xscale("log")
    axes.set_ylim(0, None)
    axes.set_xlabel("seconds since programming")
    axes.set_ylabel("change / change in the bake")
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout(pad=0.5)
    return figure


@dataclasses.dataclass(frozen=True)
class SwitchingComparison:
    """``points_us`` (points,); ``model`` and ``measured`` (2, points, places) quantiles of a SET's and a RESET's change
    in uS, evenly spread; ``stairs``: (medians, widths) of the 1T1R staircase in uS. Measured ones None without data."""

    points_us: np.ndarray
    model: np.ndarray
    measured: np.ndarray | None
    stairs: tuple | None


def compare_switching(folder=None):
    """A `SwitchingComparison`. The measured quantiles are refined: 41 places, on 31 conductances, as fitted and
    more."""
    model = np.array(TABLES) / 100
    try:
        measured = fit_taox_pulses(folder, 2 * len(TABLES[0]) - 1, PITCH / 200, 2 * len(TABLES[0][0]) - 1) / 100
    except Refusal:
        measured = None
    try:
        _, medians, widths = staircase(open_data("1t1r", folder))
        stairs = medians, widths
    except Refusal:
        stairs = None
    return SwitchingComparison(np.arange(len(TABLES[0])) * PITCH / 100, model, measured, stairs)


def draw_switching(comparison):
    """What a pulse does: quantiles of the change at each conductance, and the spread of a staircase of SETs."""
    figure = Figure(figsize=(9.4, 2.9))
    for kind, name in enumerate(("SET", "RESET")):
        axes = figure.add_subplot(1, 3, kind + 1)
        for share, line in ((0.05, ":"), (0.25, "--"), (0.5, "-"), (0.75, "--"), (0.95, ":")):
            places = comparison.model.shape[2] - 1
            label = {0.5: "taox, median", 0.25: "25, 75 %", 0.05: "5, 95 %"}.get(share)
            axes.plot(comparison.points_us, comparison.model[kind, :, round(share * places)], line, color=ANALOGUE,
                      lw=1.2, label=label)
            if comparison.measured is not None:
                points = np.linspace(0, comparison.points_us[-1], comparison.measured.shape[1])
                place = round(share * (comparison.measured.shape[2] - 1))
                axes.plot(points, comparison.measured[kind, :, place], ".", color=AFTER, ms=3,
                          label="measured, median device" if share == 0.5 else None)
        axes.set_title(f"one {name} pulse")
        axes.set_xlabel("conductance before, uS")
        if not kind:
            axes.set_ylabel("change, uS")
            axes.legend(frameon=False, fontsize=7)
        axes.grid(axis="y", color=GRID)
    axes = figure.add_subplot(1, 3, 3)
    preset, medians = PRESETS["1t1r"], np.linspace(0, 120, 50)
    axes.plot(medians, preset.program_us + preset.program_relative * medians, color=ANALOGUE, label="1t1r")
    if comparison.stairs is not None:
        stand, spread = comparison.stairs
        axes.plot(stand, spread, ".", color=AFTER, label="measured, by gate voltage")
    axes.set_xlabel("median after a SET pulse, uS")
    axes.set_title("spread of a staircase, uS")
    axes.set_xlim(0, 130)
    axes.set_ylim(0, None)
    axes.legend(frameon=False, fontsize=7)
    figure.tight_layout(pad=0.5)
    return figure
