"""What a built package holds, against what lies in the repository."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).parents[1]


def test_every_package_folder_is_listed_to_be_installed_and_no_other():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {".".join(("rmdlora", *path.parent.relative_to(ROOT).parts))
             for room in ("golden", "hdl", "gen", "cosim") for path in (ROOT / room).rglob("__init__.py")}
    assert set(settings["packages"]) == found


def test_every_file_that_is_not_python_is_listed_to_be_installed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = set()
    for package, patterns in settings["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        listed |= {path for pattern in patterns for path in folder.glob(pattern)}
    found = {path for room in ("golden", "hdl", "gen", "cosim") for path in (ROOT / room).rglob("*")
             if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts}
    assert found <= listed, found - listed
