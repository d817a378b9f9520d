import multiprocessing
import os
import re
import time

import pytest
from rmdlora.cosim.verilate import (
    BuildFailure,
    Design,
    cached_build,
    drop_unused,
    run_step,
    tool_environment,
)
from rmdlora.golden.spec.cache import cache_folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_mark(folder):
    (folder / "mark").write_text(str(os.getpid()))


def test_a_build_is_made_once_for_one_identity_and_again_for_another(cache):
    calls = []

    def build(folder):
        calls.append(folder)
        write_mark(folder)

    first = cached_build("thing", ("text", 1), build)
    assert cached_build("thing", ("text", 1), build) == first
    assert (first / "mark").is_file() and len(calls) == 1
    assert cached_build("thing", ("text", 2), build) != first and len(calls) == 2


def test_a_build_that_fails_leaves_nothing_that_could_be_taken_for_a_finished_one(cache):
    def fail(folder):
        write_mark(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_build("thing", "text", fail)
    assert [entry.name for entry in cache.iterdir()] == ["locks"]
    assert (cached_build("thing", "text", write_mark) / "mark").is_file()


def test_what_a_killed_build_left_behind_is_cleared_before_the_next_one(cache):
    finished = cached_build("thing", "text", write_mark)
    leftover = cache / f".making-{finished.name}"
    finished.rename(leftover)
    (leftover / "torn").write_text("half a file")
    assert cached_build("thing", "text", write_mark) == finished
    assert sorted(entry.name for entry in finished.iterdir()) == ["mark"]


def build_slowly(started):
    def build(folder):
        started.wait()
        time.sleep(0.2)
        write_mark(folder)

    cached_build("thing", "text", build)


def test_processes_that_want_the_same_build_make_it_once(cache):
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    processes = [context.Process(target=build_slowly, args=(started,)) for _ in range(3)]
    for process in processes:
        process.start()
    started.set()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    [finished] = [entry for entry in cache.iterdir() if entry.name.startswith("thing")]
    assert int((finished / "mark").read_text()) in [process.pid for process in processes]


def test_a_build_nobody_used_for_a_month_is_dropped_and_others_stay(cache):
    kept, old = (cached_build("thing", text, write_mark) for text in ("kept", "old"))
    os.utime(old, (time.time() - 31 * 86400,) * 2)
    drop_unused(cache)
    assert kept.is_dir() and not old.exists() and (cache / "locks").is_dir()


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
def test_a_machine_without_a_tool_is_refused_by_the_tools_name(tool, tmp_path, monkeypatch):
    here = tmp_path / "bin"
    here.mkdir()
    for other in {"g++", "make", "perl"} - {tool}:
        (here / other).write_text("#!/bin/sh\n")
        (here / other).chmod(0o755)
    monkeypatch.setenv("PATH", str(here))
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=rf"^{re.escape(tool)} must be on PATH to build .*, not missing"):
        cached_build("thing", "text", write_mark)
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=r"^the build cache must be a folder one can write, not .*cache"):
        cached_build("thing", "text", write_mark)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("RMDLORA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "rmdlora"
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_foreign_verilator_root_and_flags_of_make_do_not_reach_a_build(monkeypatch):
    monkeypatch.setenv("VERILATOR_ROOT", "/nowhere")
    monkeypatch.setenv("MAKEFLAGS", "--jobserver-auth=3,4")
    assert not {"VERILATOR_ROOT", "MAKEFLAGS"} & set(tool_environment())


def test_a_step_that_fails_says_so_with_the_last_lines_it_wrote(tmp_path):
    with pytest.raises(BuildFailure, match=r"sh ended with status 3:(.|\n)*the reason"):
        run_step(["sh", "-c", "echo the reason; exit 3"], tmp_path, tmp_path / "build.log")


def test_headers_are_written_but_are_no_sources(tmp_path):
    design = Design("top", (("top.v", "module top; endmodule"),), (("array.cpp", ""), ("array.h", "")))
    assert design.write(tmp_path) == ["top.v", "array.cpp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["array.cpp", "array.h", "top.v"]
