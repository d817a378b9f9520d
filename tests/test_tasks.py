"""`rmdlora tasks`: its command line, what a task's outcome becomes, and the face task in small."""

import json

import pytest
from rmdlora.cosim import cli, tasks
from rmdlora.cosim.outcome import Grid, Outcome, Section, over_seeds
from rmdlora.golden.spec.refusal import RefusedValue


def stand_in(monkeypatch, troubles=()):
    """`tasks face` gives a fixed outcome."""
    from rmdlora.cosim.face import task

    outcome = Outcome("A title", "a lead", {"learned": 0.5, "learned_seeds": [0.5]},
                      (Grid("shares", ("", "share"), [["all", "50 %"]]),), ("said below",), (("number", "7"),),
                      (Section("Heading <one>", ("words",), (Grid("shares", ("", "share"), [["all", "50 %"]]),)),),
                      troubles)
    monkeypatch.setattr(task, "run", lambda options, progress: outcome)


def test_a_task_prints_its_table_and_writes_page_and_flat_figures(monkeypatch, tmp_path, capsys):
    stand_in(monkeypatch)
    words = ["tasks", "face", "--json", str(tmp_path / "a" / "face.json"), "--out", str(tmp_path / "page")]
    assert cli.main(words) == 0
    said = capsys.readouterr().out
    assert "50 %" in said and "said below" in said and "report.html" in said
    page = (tmp_path / "page" / "report.html").read_text()
    assert "Heading &lt;one&gt;" in page and "50 %" in page and "differs" not in page.split("</style>")[1]
    assert json.loads((tmp_path / "a" / "face.json").read_text()) == {"learned": 0.5, "learned_seeds": [0.5]}


def test_a_difference_from_the_oracle_ends_with_status_1_and_is_named(monkeypatch, tmp_path, capsys):
    stand_in(monkeypatch, ("y[0, 1] is 5, not 6",))
    assert cli.main(["tasks", "face", "--out", str(tmp_path)]) == 1
    assert "differs: y[0, 1] is 5, not 6" in capsys.readouterr().out
    assert "y[0, 1] is 5, not 6" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("words, why", [
    (["tasks", "face", "--seeds", "0"], "--seeds must be an integer of 1..1000, not 0"),
    (["tasks", "face", "--backend", "verilog"], "invalid choice: 'verilog'"),
    (["tasks", "face", "--people", "-1"], "--people must be an integer of 0..39, not -1"),
    (["tasks", "nobody"], "invalid choice: 'nobody'"),
    (["tasks"], "required: TASK")])
def test_what_a_task_cannot_take_is_refused_in_one_line(words, why, capsys):
    assert cli.main(words) == 2
    said = capsys.readouterr().err.strip()
    assert why in said and "\n" not in said


def test_a_page_must_go_into_a_folder_and_figures_into_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    parser = cli.build_parser(["tasks"])
    with pytest.raises(RefusedValue, match="--out must be a folder, not the file"):
        tasks.run_tasks(parser.parse_args(["tasks", "face", "--out", str(tmp_path / "file")]))
    with pytest.raises(RefusedValue, match="--json must be a file, not the folder"):
        tasks.run_tasks(parser.parse_args(["tasks", "face", "--json", str(tmp_path)]))


def test_figures_of_several_seeds_are_means_and_the_list_of_each():
    assert over_seeds([{"new": 1.0}, {"new": 0.5}]) == {"new": 0.75, "new_seeds": [1.0, 0.5]}
