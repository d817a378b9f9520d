"""The command line: what it gives, what it refuses in one line, and the exit statuses scripts rely on."""

import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from rmdlora.cosim import cli, mutation
from rmdlora.cosim.compare import Outcome, compare
from rmdlora.golden import lora
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.vectors import load_vectors

TINY = load_configuration("tiny")


@pytest.fixture
def vector_file(tmp_path):
    """A small legal training file."""
    random = np.random.default_rng(1)
    path = tmp_path / "vectors.npz"
    np.savez(path, x=random.integers(-128, 128, (5, 9)), a=random.integers(-99, 99, (3, 9)),
             b=random.integers(-99, 99, (7, 3)), g=random.integers(-99, 99, (5, 7)), batch=2, lra_shift=3, lrb_shift=3)
    return path


def refused(capsys, *words):
    """The one line with which the command refuses ``words``."""
    assert cli.main([str(word) for word in words]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and shown.err.startswith("rmdlora: ")
    return shown.err


def test_the_oracles_results_are_written_as_the_contract_says(vector_file, tmp_path, capsys):
    out = tmp_path / "out.npz"
    assert cli.main(["run", str(vector_file), "--config", "tiny", "--out", str(out)]) == 0
    wanted = lora.run(load_vectors(vector_file, TINY), TINY)
    with np.load(out) as archive:
        assert set(archive.files) == {"y", "p", "dx", "q", "a", "b", "va", "vb", "cycles_forward", "cycles_backward",
                                      "cycles_update", "multipliers"} == set(wanted)
        assert all(archive[key].dtype == np.int64 and np.array_equal(archive[key], wanted[key]) for key in wanted)
        assert archive["multipliers"].shape == ()
    shown = capsys.readouterr().out
    assert "5 vectors, 9 inputs, 7 outputs, rank 3; 4 multipliers" in shown and "backward + update" in shown


def test_bad_input_is_refused_in_one_line_and_nothing_is_written(vector_file, tmp_path, capsys):
    out = tmp_path / "out.npz"
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "broken.toml").write_text("[lora]\nlanes = 3\n")
    np.savez(tmp_path / "large.npz", x=np.zeros((1, 65), int), a=np.zeros((1, 65), int), b=np.zeros((1, 1), int))
    for words, name in ((("run", tmp_path / "none.npz"), "no such file"), (("run", tmp_path / "broken.npz"), "archive"),
                        (("run", tmp_path / "large.npz", "--config", "tiny"), "k must be at most 64"),
                        (("run", vector_file, "--config", "nowhere"), "not 'nowhere'"),
                        (("run", vector_file, "--config", tmp_path / "broken.toml"), "power of two, not 3")):
        assert name in refused(capsys, *words, "--out", out)
    assert not out.exists()
    assert "folder that exists" in refused(capsys, "run", vector_file, "--out", tmp_path / "none" / "out.npz")
    assert "another file than the vectors" in refused(capsys, "run", vector_file, "--out", vector_file)
    assert "golden runs no Verilog" in refused(capsys, "run", vector_file, "--break", 3)
    assert "--verilog must be a text file" in refused(
        capsys, "run", vector_file, "--compare", "--verilog", tmp_path / "none.v")


@pytest.mark.parametrize("words", [
    (), ("fly",), ("run",), ("run", "v.npz", "--backend", "paper"), ("run", "v.npz", "--ou", "o"),
    ("generate", "--colour"), ("run", "v.npz", "--verilog", "f", "--break", "3")])
def test_a_command_line_that_makes_no_sense_is_refused_in_one_line(words, capsys):
    assert "--help shows how" in refused(capsys, *words)


@pytest.mark.parametrize("words", [(), ("run",), ("generate",), *((name,) for name in cli.APART), ("tasks", "face")],
                         ids=" ".join)
def test_help_teaches_with_examples_and_exit_statuses(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0 and ("example" in shown or len(words) > 1) and "1 differs; 2 input refused" in shown
    assert max(map(len, shown.splitlines())) <= 120
    sentences = shown.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    assert all(len(line) > 60 for line in sentences[:-1]), "sentences must fill their lines"


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"rmdlora {importlib.metadata.version('rmdlora')}\n")


def test_help_lists_only_what_is_installed(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    listed = re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)
    modules = {path.stem for path in pathlib.Path(cli.__file__).parent.glob("*.py")}
    assert {"generate", "run"} <= set(listed) <= {"generate", "run"} | modules


def test_a_fault_of_our_own_is_one_line_too_and_a_trace_on_request(vector_file, capsys, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(lora, "run", fail)
    assert cli.main(["run", str(vector_file)]) == 3
    shown = capsys.readouterr().err
    assert shown == ("rmdlora: a fault of rmdlora itself, ZeroDivisionError: division by zero "
                     "(RMDLORA_TRACE=1 shows where)\n")
    monkeypatch.setenv("RMDLORA_TRACE", "1")
    assert cli.main(["run", str(vector_file)]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_in_one_line(vector_file, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(lora, "run", interrupt)
    assert cli.main(["run", str(vector_file)]) == 130
    assert capsys.readouterr().err == "rmdlora: interrupted\n"


def test_the_installed_command_answers_and_stops_where_nobody_reads(vector_file):
    command = pathlib.Path(sys.executable).with_name("rmdlora")
    done = subprocess.run([command, "run", "nothing.npz"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([command, "run", vector_file], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""


def test_the_first_difference_is_the_one_that_left_the_rtl_first():
    y, dx = np.arange(6).reshape(2, 3), np.arange(4).reshape(2, 2)
    golden = {"y": y, "p": y, "dx": dx, "a": dx, "cycles_forward": np.array(7), "multipliers": np.array(4)}
    clocks = {"y": np.array([[10, 10, 11], [20, 20, 21]]), "dx": np.array([[15, 15], [25, 25]]), "a": 90}
    changed = {key: array.copy() for key, array in golden.items() if key != "p"}
    assert compare(Outcome(golden), Outcome(changed, clocks)) == []
    changed["y"][1, 1:] += 1
    changed["dx"][0, 1] -= 3
    changed["a"][1, 0] = 9
    changed["cycles_forward"] += 1
    assert [str(difference) for difference in compare(Outcome(golden), Outcome(changed, clocks))] == [
        "dx[0, 1] is 1 from golden and -2 from rtl, at clock 15 since reset (1 of 4 differ)",
        "y[1, 1] is 4 from golden and 5 from rtl, at clock 20 since reset (2 of 6 differ)",
        "a[1, 0] is 2 from golden and 9 from rtl, at clock 90 since reset (1 of 4 differ)",
        "cycles_forward is 7 from golden and 8 from rtl (1 of 1 differ)"]


def test_an_array_that_is_missing_or_of_another_shape_differs():
    golden = Outcome({"y": np.zeros((2, 3)), "dx": np.zeros(2)})
    rtl = Outcome({"y": np.zeros((3, 2)), "a": np.zeros(1)})
    assert {difference.array for difference in compare(golden, rtl)} == {"y", "dx", "a"}


def test_an_adder_is_broken_where_there_is_one_and_refused_elsewhere():
    text = "module \\rmdlora.lora.sums (a);\n  assign \\$1  = a + b;\n  reg x [3 +: 2];\nendmodule\n"
    assert mutation.adder_lines(text) == mutation.adder_lines(text, ".lora.") == [2]
    assert mutation.break_adder(text, 2).splitlines()[1] == "  assign \\$1  = a - b;"
    for line in (0, 1, 3, 99):
        with pytest.raises(Refusal, match=f"--break must be a line .* with an adder, such as 2, not {line}"):
            mutation.break_adder(text, line)
