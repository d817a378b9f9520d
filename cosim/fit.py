"""The presets' numbers again from the measured data they were fitted to, and `rmdlora fit`, which compares them.

Data are found in the folder that RMDLORA_DATA names (default: ``shared/data`` beside the repository); none of it is
part of the project. Sources: `rram_taox.npz`, Sandia National Laboratories' CrossSim (BSD-3-Clause);
`rram_1t1r_retention.npz`, github akashlevy/RRAM-RADAR-Tuning (doi 10.1109/TED.2021.3097975).
"""

import math
import os
import pathlib
import zipfile

import numpy as np
from rich.console import Console
from rich.table import Table
from rmdlora.golden.data import default_folder
from rmdlora.golden.spec.presets import PRESETS
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.spec.retention import RETENTION_1T1R
from rmdlora.golden.spec.taox_pulses import PITCH, TABLES

__all__ = ["ABOUT", "FILES", "add_arguments", "fit_cells_1t1r", "fit_retention", "fit_taox", "fit_taox_pulses",
           "open_data", "run_fit"]

ABOUT = """\
Fit the presets of the resistive memory to the measured data again, and compare with the numbers in the package. Exit
status 1 where one differs, 2 where the data is not there.

example:
  RMDLORA_DATA=~/data rmdlora fit"""

FILES = {"taox": "rram_taox.npz", "1t1r": "rram_1t1r_retention.npz"}
WHERE = {"taox": "made from the device tables of github sandialabs/cross-sim (BSD-3-Clause)",
         "1t1r": "made from exptdata/ of github akashlevy/RRAM-RADAR-Tuning"}
NORMAL_IQR = 1.349          # interquartile range of a normal distribution of standard deviation 1
LEVELS = 32                 # of the retention run: cell i was written to level (i + i // 32) % 32
KNOT_US = 12.5              # cells this near a knot count for it


def open_data(kind, folder=None):
    """The archive of ``kind`` (a key of `FILES`) from ``folder`` or RMDLORA_DATA; refused in words where it is not."""
    folder = pathlib.Path(folder or os.environ.get("RMDLORA_DATA") or default_folder())
    path = folder / FILES[kind]
    if not path.is_file():
        raise RefusedValue(f"RMDLORA_DATA must be a folder with {FILES[kind]} ({WHERE[kind]}), not {folder}")
    try:
        return np.load(path)
    except (OSError, ValueError, zipfile.BadZipFile) as problem:
        raise RefusedValue(f"{path} must be a numpy archive: {problem}") from None


def width(values, axis=None):
    """Standard deviation of a normal distribution with the interquartile range of ``values``."""
    return np.subtract(*np.percentile(values, [75, 25], axis=axis)) / NORMAL_IQR


def fit_taox(folder=None):
    """Numbers of the preset `taox`: a dict by field of `Preset`. Of the 24 quality-filtered devices ("medium_set"):

    * ``program_us``, ``program_relative``: spread of a RESET pulse's change on 10, 15 .. 80 uS, median over devices,
      as a straight line in G (least squares);
    * ``read``: that of a SET pulse's change at the top of each device's range, where SET has saturated and what changes
      is the difference of two reads: / sqrt 2 / G, median over devices, in 1/65536. (The ends of the tables are
      extrapolated: take it as an order of magnitude.)
    * ``limit_spread``: relative spread from device to device of the top of the range;
    * ``strength_spread``: the same of the median change a RESET pulse makes, on 40, 45 .. 100 uS, median over them.
    """
    data = open_data("taox", folder)
    quantiles = list(data["cdf_q"])
    lower, median, upper = (quantiles.index(share) for share in (0.25, 0.5, 0.75))
    devices = data["medium_set"]
    grid_us = data["G_S"][devices] * 1e6                                                        # (devices, points)
    reset, set_ = (1e6 * (data[key][devices, upper] - data[key][devices, lower]) / NORMAL_IQR
                   for key in ("dG_dec_S", "dG_inc_S"))

    def on(points, values):
        """``values`` (devices, grid) at ``points`` uS: (points, devices), NaN outside a device's range."""
        return np.array([[np.interp(point, *pair, left=np.nan, right=np.nan)
                          for pair in zip(grid_us, values, strict=True)] for point in points])

    points = np.arange(10.0, 81.0, 5.0)
    slope, start = np.polyfit(points, np.nanmedian(on(points, reset), axis=1), 1)
    relative = np.median(set_[:, -1] / np.sqrt(2) / grid_us[:, -1])
    steps = on(np.arange(40.0, 101.0, 5.0), -1e6 * data["dG_dec_S"][devices, median])
    tops = grid_us[:, -1]
    return {"program_us": float(start), "program_relative": float(slope), "read": round(float(relative) * 65536),
            "limit_spread": float(tops.std() / tops.mean()),
            "strength_spread": float(np.median(np.nanstd(steps, axis=1) / np.nanmean(steps, axis=1)))}


def fit_taox_pulses(folder=None, points=16, pitch_us=10.0, places=21):
    """The tables of `golden.spec.taox_pulses`: int64 (2, points, places), in 10 nS.

    Of the "medium_set", for SET and RESET, at 0, 10 .. 150 uS: evenly spread quantiles of the change one pulse makes,
    each the median over the devices whose measured range has that conductance, in order; where none has, those of the
    nearest that some have.
    """
    data = open_data("taox", folder)
    devices, wanted = data["medium_set"], np.linspace(0, 1, places)
    tables = np.full((2, points, places), np.nan)
    for kind, key in enumerate(("dG_inc_S", "dG_dec_S")):
        for point in range(points):
            found = []
            for grid, changes in zip(data["G_S"][devices] * 1e6, data[key][devices] * 1e6, strict=True):
                if grid[0] <= point * pitch_us <= grid[-1]:
                    at = [np.interp(point * pitch_us, grid, change) for change in changes]
                    found.append(np.interp(wanted, data["cdf_q"], at))
            if found:
                tables[kind, point] = np.sort(np.median(found, axis=0))
        known = np.flatnonzero(np.isfinite(tables[kind, :, 0]))
        nearest = [known[np.abs(known - point).argmin()] for point in range(points)]
        tables[kind] = tables[kind, nearest]
    return np.rint(tables * 100).astype(np.int64)


def baked(data, run):
    """``(before, after)`` in uS of the cells of a ``run``: the last read before the bake and the first after it."""
    before, after = (1e6 / data[f"{run}_{when}bake_R"].astype(np.float64) for when in ("pre", "post"))
    return before.reshape(-1, LEVELS * LEVELS)[-1], after.reshape(-1, LEVELS * LEVELS)[0]


def fit_retention(folder=None):
    """Numbers of `RETENTION_1T1R` as its docstring says: a dict by field of `Retention`."""
    data, law = open_data("1t1r", folder), RETENTION_1T1R
    before, after = baked(data, "relaxation")
    near = [np.abs(before - knot) <= KNOT_US for knot in law.knots_us]
    changes = [after[cells] - before[cells] for cells in near]

    def moved(run):
        """Median size of the change on each 20 uS from 80 to 220 uS: (7,), NaN where fewer than 40 cells stand."""
        before, after = baked(data, run)
        bins = [(before >= low) & (before < low + 20) for low in range(80, 220, 20)]
        return np.array([np.median(np.abs(after - before)[cells]) if cells.sum() > 40 else np.nan for cells in bins])

    first = moved("readtest3bpc1")                                      # 80 degC, as the run with 32 levels
    ratios = [math.exp(np.nanmean(np.log(moved(run) / first))) - 1 for run in ("readtest3bpc2", "readtest3bpc4")]
    decades = [math.log10(law.equivalent_s(law.bake_s, celsius) / law.bake_s) for celsius in (100.0, 120.0)]
    slope = np.dot(ratios, decades) / np.dot(decades, decades)          # of 1 + slope * decades
    return {"shift_us": tuple(float(np.median(change)) for change in changes),
            "spread_us": tuple(float(width(change)) for change in changes),
            "per_decade": float(slope)}


def staircase(data):
    """``(volts, medians, widths)`` of where cells stand in the gradual SET staircase, by gate voltage: uS."""
    gate, stand = data["set_wl_noreset"][:, 3], 1e6 / data["set_wl_noreset"][:, 5].astype(np.float64)
    volts = np.unique(gate)
    return volts, *(np.array([number(stand[gate == volt]) for volt in volts]) for number in (np.median, width))


def fit_cells_1t1r(folder=None):
    """Numbers of the preset `1t1r` beside its retention: a dict by field of `Preset`.

    * ``program_us``, ``program_relative``: how widely cells stand in a staircase of SET pulses of rising gate
      voltage, at the voltages whose median is 10 to 120 uS, as a straight line in that median (least squares);
    * ``read``: difference of two reads after a bake, cells of 60 to 150 uS: median / 0.6745 / sqrt 2 / G, in 1/65536;
    * ``limit_spread``: relative spread from cell to cell of the median of 300 SETs.
    """
    data = open_data("1t1r", folder)
    _, medians, widths = staircase(data)
    within = (medians >= 10) & (medians <= 120)
    slope, start = np.polyfit(medians[within], widths[within], 1)
    twice = np.concatenate([1e6 / data[f"readtest{run}_postbake_R"].astype(np.float64).reshape(-1, 1024)[:2]
                            for run in ("3bpc2", "3bpc4")], axis=1)
    stand = twice.mean(axis=0)
    inside = (stand > 60) & (stand < 150)
    relative = np.median((np.abs(twice[1] - twice[0]) / stand)[inside]) / 0.6745 / math.sqrt(2)
    tops = np.median(1e6 / data["cycling_R"][:, 1::2].astype(np.float64), axis=1)
    return {"program_us": float(start), "program_relative": float(slope), "read": round(float(relative) * 65536),
            "limit_spread": float(tops.std() / tops.mean())}


def add_arguments(command):
    """Tell an argument parser what `rmdlora fit` takes."""
    command.add_argument("--data", metavar="FOLDER", help="where the archives are (default: RMDLORA_DATA)")


def digits(number):
    """A fitted number with the digits the package keeps of it."""
    return f"{number:.3g}" if isinstance(number, float) else f"{number}"


def run_fit(arguments):
    """Fit again and print both; 1 where a number differs in the digits kept."""
    pairs = []
    for name, fit in (("taox", fit_taox), ("1t1r", fit_cells_1t1r)):
        pairs += [(f"{name} {field}", value, getattr(PRESETS[name], field))
                  for field, value in fit(arguments.data).items()]
    for field, value in fit_retention(arguments.data).items():
        kept = getattr(RETENTION_1T1R, field)
        if isinstance(value, tuple):
            knots = zip(RETENTION_1T1R.knots_us, value, kept, strict=True)
            pairs += [(f"1t1r retention {field} at {knot:.0f} uS", *both) for knot, *both in knots]
        else:
            pairs.append((f"1t1r retention {field}", value, kept))
    table = Table(title="Presets fitted again")
    for column in ("number", "fitted", "in the package"):
        table.add_column(column, justify="left" if column == "number" else "right")
    differing = 0
    for name, fitted, kept in pairs:
        same = math.isclose(fitted, kept, rel_tol=5e-3, abs_tol=5e-3)
        differing += not same
        table.add_row(name, digits(fitted), digits(kept) + ("" if same else "  differs"))
    pulses = fit_taox_pulses(arguments.data, pitch_us=PITCH / 100)
    differing += int(pulses.tolist() != [[list(row) for row in kind] for kind in TABLES])
    console = Console()
    console.print(table)
    console.print(f"taox pulses: {pulses.size} quantiles, "
                  f"{int((pulses != np.array(TABLES)).sum())} of them other than in the package")
    console.print(f"{differing} of the numbers differ" if differing else "every number is that of the package")
    return int(bool(differing))
