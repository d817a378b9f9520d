"""The report: its charts are what the pins did, its page needs nothing else, and what is not known is not made up."""

import json

import numpy as np
import pytest
from rmdlora.cosim import report, schedule
from rmdlora.cosim.board import hold_ticks
from rmdlora.cosim.cli import main
from rmdlora.golden.spec.configuration import load_configuration

TINY = load_configuration("tiny")


@pytest.fixture(scope="module")
def stream():
    """Three reads of a full tile, recorded."""
    return schedule.record_schedule(TINY, 3)


def test_intervals_are_the_stretches_in_which_a_level_holds():
    trace = [(0, 1), (5, 0), (9, 1), (20, 0), (21, 0), (30, 1), (40, 0)]
    assert schedule.intervals(trace, lambda level: not level) == [(5, 9), (20, 30)]
    assert schedule.bursts([3, 8, 70, 71, 500]) == [(3, 72), (500, 501)]


def test_a_recorded_stream_has_the_boards_conversions_frames_and_switches(stream):
    board, geometry = TINY.board, TINY.geometry
    spans = stream.spans
    assert len(stream.falls) == 3 * board.positions
    assert stream.period == board.positions * board.conversion_ticks
    assert len(spans["DAC"]["frame"]) == 3 * geometry.tile_rows and len(spans["DAC"]["trigger"]) == 3
    assert {end - start for start, end in spans["DAC"]["frame"]} == {board.frame_ticks - board.dac_high_ticks}
    assert min(end - start for start, end in spans["ADC switch"]["open"]) >= board.inhibit_ticks
    assert len(spans["y beats"]["up"]) >= 3 and spans["y beats"]["up"][-1][1] == stream.clocks
    assert "bound by" in stream.bound() and f"{stream.period:,}" in stream.bound()


def test_a_reads_settling_times_end_before_its_first_conversion(stream):
    each = len(stream.falls) // stream.vectors
    for settled, fall in zip(stream.spans["DAC"]["settle"], stream.falls[::each], strict=True):
        assert settled[1] <= fall


def test_the_recorded_falls_are_the_boards_own_holds():
    lane = schedule.Recorder(TINY)
    bench = schedule.Bench(TINY, TINY.tile_outputs, TINY.geometry.tile_rows, rank=2, lane=lane)
    bench.read(2, active=3)
    board = TINY.board
    falls = [start for start, _ in schedule.intervals(lane.changes["adc_cs_n"], lambda level: not level)]
    assert np.ptp(hold_ticks(lane.library) - np.array(falls)) == 0
    assert len(falls) == 2 * board.positions
    lane.close()


def test_the_command_writes_one_page_that_needs_nothing_else(tmp_path, capsys):
    results = tmp_path / "tests.xml"
    results.write_text('<testsuites><testsuite><testcase classname="tests.test_a" name="b"/><testcase '
                       'classname="tests.test_a" name="c"><skipped/></testcase></testsuite></testsuites>')
    assert main(["report", "--config", "tiny", "--out", str(tmp_path / "r"), "--tests", str(results)]) == 0
    page = (tmp_path / "r" / "report.html").read_text()
    for title in ("The system", "Configuration", "Registers", "Cycles", "Resources", "Schedule", "Cells", "Tests"):
        assert f"<h2>{title}</h2>" in page
    assert "<svg" in page and "<th>[sram]</th>" in page and "<td>scrub_clocks</td>" in page
    assert "src=" not in page and "<link" not in page
    figures = json.loads((tmp_path / "r" / "report.json").read_text())
    assert figures["tests_passed"] == 1 and figures["tests_skipped"] == 1
    assert figures["clocks_a_read"] == TINY.board.positions * TINY.board.conversion_ticks
    assert "report.html" in capsys.readouterr().out


def test_what_was_not_measured_is_said_to_be_missing(tmp_path):
    section = report.show_tests(TINY, {}, {"tests": tmp_path / "none.xml"})
    assert section.tables == () and "make test" in section.text


@pytest.mark.parametrize(("words", "rule"), [
    (["report", "pictures"], "invalid choice"), (["report", "--config", "none"], "none"),
    (["report", "--config", "tiny", "--out", __file__], "--out must be a folder")])
def test_what_cannot_be_reported_is_refused_in_one_line(words, rule, capsys):
    assert main(words) == 2
    said = capsys.readouterr().err
    assert rule in said and said.count("\n") == 1
