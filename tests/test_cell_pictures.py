"""Pictures of the cells are drawn from numbers that are what they say."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest
from rmdlora.cosim import cell_pictures as cells
from rmdlora.cosim.drawing import as_svg
from rmdlora.golden.spec.configuration import load_configuration

TINY = load_configuration("tiny")
DATA = pathlib.Path(os.environ.get("RMDLORA_DATA", pathlib.Path(__file__).parents[1] / "../shared/data"))
needs_data = pytest.mark.skipif(not all((DATA / name).is_file() for name in (
    "rram_taox.npz", "rram_1t1r_retention.npz")), reason="measured data is not in RMDLORA_DATA")


def test_a_programmed_map_stands_within_its_tolerance_and_its_histogram_has_every_cell():
    configuration = dataclasses.replace(TINY, device=dataclasses.replace(TINY.device, stuck_high=0.02, seed=3))
    programmed = cells.program_map(configuration, limit=300)
    error, given_up = programmed.reached_us - programmed.targets_us, programmed.given_up
    assert programmed.preset == "paper" and 5 < given_up.sum() < 60
    assert np.abs(error[~given_up]).max() < programmed.tolerance_us + 0.1       # the converter's noise
    assert programmed.figures["map_given_up"] == given_up.sum()
    assert np.array_equal(programmed.used, programmed.pulses / 30_000)
    figure = cells.draw_map(programmed)
    histogram = next(axes for axes in figure.axes if axes.patches)
    assert sum(bar.get_height() for bar in histogram.patches) == (~given_up).sum()
    crosses = next(line for axes in figure.axes for line in axes.lines if line.get_marker() == "x")
    assert len(crosses.get_xdata()) == given_up.sum()


def test_pulses_fall_with_the_tolerance_as_published():
    counts = cells.count_pulses(TINY, tolerances_us=(1.0, 2.0), cells=200)
    assert 42 < counts[1.0][0] < 62 and 20 < counts[2.0][0] < 31        # "about 50", "tens"
    figure = cells.draw_pulses(counts)
    drawn = next(line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert list(drawn.get_ydata()) == [counts[1.0][0], counts[2.0][0]]


def test_without_the_data_the_models_are_drawn_alone(tmp_path):
    retention, switching = cells.compare_retention(tmp_path), cells.compare_switching(tmp_path)
    assert retention.measured is None and switching.measured is None and retention.figures == {}
    assert "data not there" in cells.draw_retention(retention).axes[0].get_title()
    assert not any("measured" in str(line.get_label()) for axes in cells.draw_switching(switching).axes
                   for line in axes.lines)


@needs_data
def test_the_fits_are_drawn_on_the_data():
    retention, switching = cells.compare_retention(DATA), cells.compare_switching(DATA)
    assert retention.figures["retention_median_rms_error_us"] < 4       # of 250 uS
    finer = switching.measured[:, ::2, ::2]
    assert finer.shape == switching.model.shape and np.median(np.abs(finer - switching.model)) < 0.01
    figure = cells.draw_switching(switching)
    dots = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "."]
    assert len(dots) == 11 and as_svg(figure, "switching").startswith("<svg")
    assert len(cells.draw_retention(retention).axes[0].containers) == 1
