"""What the documents show is run: shell, Python and C, in the order of the page, in an empty folder."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from rmdlora.cosim.verilate import tool_environment
from rmdlora.gen.flows import WAIVERS
from rmdlora.gen.registers import header_text
from rmdlora.golden.spec.configuration import load_configuration

DOCS = pathlib.Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_shell(text, folder):
    """Commands as a newcomer types them, `.venv/bin` on the path."""
    environment = tool_environment()
    environment["PATH"] = os.pathsep.join([str(pathlib.Path(sys.executable).parent), environment["PATH"]])
    subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=folder, env=environment, check=True,
                   stdin=subprocess.DEVNULL)


def compile_c(text, folder):
    """A C file beside the generated header, without a warning."""
    (folder / "rmdlora_registers.h").write_text(header_text(load_configuration("tiny")), encoding="utf-8")
    (folder / "shown.c").write_text(text, encoding="utf-8")
    compiler = shutil.which("gcc") or shutil.which("g++")
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-c", "-o", os.devnull, "shown.c"], cwd=folder, check=True)


@pytest.mark.parametrize("page", [      # the walk compiles a simulation of its own
    pytest.param(page, marks=[pytest.mark.soak] if page.stem == "walk" else [], id=page.stem)
    for page in sorted(DOCS.glob("*.md"))])
def test_every_code_block_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, ran = {}, 0
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        ran += 1
        if language == "python":
            exec(compile(text, f"{page.name}, block {ran}", "exec"), names)
        else:
            {"sh": run_shell, "c": compile_c}[language](text, tmp_path)
    assert ran >= 2


def test_every_page_and_file_that_a_page_points_to_is_there():
    for page in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_leads_to_every_document():
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/{page.name}" in readme for page in DOCS.glob("*.md"))


def test_the_integrators_guide_counts_the_waivers():
    numbers = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert f"waives {numbers[len(WAIVERS)]} rules" in (DOCS / "integration.md").read_text(encoding="utf-8")
