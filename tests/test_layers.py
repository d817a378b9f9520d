"""Imports flow one way, and every module is reached by its one name."""

import ast
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROOMS = ("golden", "hdl", "gen", "cosim")
MAY_IMPORT = {"golden.spec": set(), "golden": {"golden.spec"}, "hdl": {"golden.spec"}, "gen": {"golden.spec", "hdl"},
              "cosim": {"golden.spec", "golden", "hdl", "gen"}}
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def room_of(module):
    """The room of a dotted module name (without ``rmdlora.``): ``golden.spec`` or a top-level folder."""
    parts = module.split(".")
    return "golden.spec" if parts[:2] == ["golden", "spec"] else parts[0]


def imported_modules(path):
    """``(line, absolute dotted name)`` of everything a file imports, at its top or inside a function."""
    package = ("rmdlora", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else ()
            name = ".".join((*base, *([node.module] if node.module else [])))
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_from_the_rooms_below_it(path):
    own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for line, name in imported_modules(path):
        first = name.split(".")[0]
        assert first not in (*ROOMS, "tests"), f"{path}:{line}: {name}: import it as rmdlora.{name}"
        if first == "rmdlora":
            room = room_of(name.removeprefix("rmdlora."))
            assert room == own or room in MAY_IMPORT[own], f"{path}:{line}: {own} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "golden" / "spec").glob("*.py")), ids=lambda path: path.name)
def test_the_specification_imports_the_standard_library_only(path):
    for line, name in imported_modules(path):
        first = name.split(".")[0]
        assert first in sys.stdlib_module_names or name.startswith("rmdlora.golden.spec"), f"{path}:{line}: {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.name)
def test_a_test_reaches_the_product_by_its_one_name(path):
    for line, name in imported_modules(path):
        assert name.split(".")[0] not in ROOMS, f"{path}:{line}: {name}: import it as rmdlora.{name}"


# who may know an address beside the driver: what carries accesses looks at STATUS, traffic is about the bus itself, and
# a report prints the table
ADDRESSED = {"cosim/native.py", "cosim/benches/pins.py", "cosim/benches/traffic_bench.py", "cosim/report.py"}
ADDRESSES = {f"rmdlora.golden.spec.registers.{name}" for name in ("register", "window", "REGISTERS", "WINDOWS",
                                                                  "OPERATION")}
ACCESSES = {"write", "write_many", "read_many", "transfer"}     # of a transport; a plain read is many things' name


@pytest.mark.parametrize("path", [path for path in SOURCES if room_of(str(path.relative_to(ROOT)).replace("/", "."))
                                  in ("golden", "cosim")], ids=lambda path: str(path.relative_to(ROOT)))
def test_benches_and_demonstration_reach_the_chip_through_its_driver(path):
    addresses = {name for _, name in imported_modules(path)} & ADDRESSES
    assert not addresses or str(path.relative_to(ROOT)) in ADDRESSED, f"{path}: {addresses}: ask the driver"
    if addresses:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ACCESSES:
            reached = ast.unparse(node.func)
            assert not re.search("lane|transport|dut|chip", reached), f"{path}:{node.lineno}: {reached}: ask the driver"


def run_python(program):
    """Standard output of a fresh interpreter that runs ``program`` from the repository root."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_specification_imports_where_neither_torch_nor_amaranth_is_installed():
    modules = [f"rmdlora.golden.spec.{path.stem}" for path in (ROOT / "golden" / "spec").glob("*.py")
               if path.stem != "__init__"]
    run_python(f"""
import importlib, sys
for name in ("torch", "amaranth", "numpy", "cocotb"):
    sys.modules[name] = None    # an import of it then fails as if it were not installed
for name in {modules!r}:
    importlib.import_module(name)
from rmdlora.golden.spec.configuration import load_configuration, named_configurations
assert "default" in named_configurations()
for name in named_configurations():
    load_configuration(name).pipeline.run(3, 5, 4, 2, batch=2)
""")


def test_no_module_is_loaded_twice_under_two_names():
    """From the repository root `import hdl` works too, and would be a second copy: no import of ours may do that."""
    loaded = run_python(f"""
import importlib, pathlib, sys
for room in {ROOMS!r}:
    for path in sorted(pathlib.Path(room).glob("*.py")):
        importlib.import_module(f"rmdlora.{{room}}" + ("" if path.stem == "__init__" else "." + path.stem))
print(*(name for name in sys.modules if name.split(".")[0] in {ROOMS!r}))
print(*(name for name in sys.modules if name.startswith("rmdlora.golden.")))
""").splitlines()
    assert loaded[0] == ""
    assert "rmdlora.golden.lora" in loaded[1].split()
