"""`rmdlora bench array`: reads of 32 x 32 tiles a second, of our array model and of AIHWKit and CrossSim beside it.

Each simulator runs in a process of its own, one thread each, all in turn, round by round (`measure.reading` has the
work). The peers are no part of the project: AIHWKit is looked for among the installed packages and in the folders that
RMDLORA_AIHWKIT names (as PYTHONPATH does), CrossSim in the checkout that RMDLORA_CROSSSIM names.
"""

import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys

from .reading import SIMULATORS, TILES, VECTORS

__all__ = ["INSTALL", "measure_array"]

INSTALL = {
    "aihwkit": "pip install --target FOLDER aihwkit, then RMDLORA_AIHWKIT=FOLDER (its C++ needs the torch it was built "
               "with: 1.1.0 runs with torch 2.10)",
    "crosssim": "git clone https://github.com/sandialabs/cross-sim, then RMDLORA_CROSSSIM=FOLDER"}
PEERS = ("aihwkit", "aihwkit-torch", "crosssim")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Simulator:
    """One of `SIMULATORS` as a process; ``version`` is None where ``missing`` says why it cannot be measured."""

    def __init__(self, name):
        environment = dict(os.environ, **dict.fromkeys(THREADS, "1"))
        folders = environment.get("RMDLORA_AIHWKIT", "") if name.startswith("aihwkit") else ""
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (folders, environment.get("PYTHONPATH"))))
        self.process = subprocess.Popen([sys.executable, "-m", "rmdlora.cosim.measure.reading", name], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=environment)
        try:
            answer = json.loads(self.process.stdout.readline())
        except ValueError:
            answer = {"missing": "it ended without a word"}
        self.version, self.missing = answer.get("version"), answer.get("missing")

    def run(self, kind):
        """Seconds of one round of ``kind``."""
        print(kind, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def measure_array(rounds=15, names=tuple(SIMULATORS), advance=lambda text: None):
    """Measure all of ``names`` and return ``(figures, missing)``.

    ``figures``: flat; ``vmm_per_second_NAME_KIND`` (medians over ``rounds``, after two to warm up), and
    ``vmm_ratio_ideal``, ``vmm_ratio_noisy``: rmdlora's over the best peer's, None where no peer is there. ``missing``:
    the reasons by name.
    """
    figures, missing = {}, {}
    with contextlib.ExitStack() as stack:
        running = {}
        for name in names:
            advance(f"set up {name}")
            simulator = Simulator(name)
            stack.callback(simulator.close)
            if simulator.missing:
                missing[name] = simulator.missing
            else:
                running[name] = simulator
                figures[f"version_{name}"] = simulator.version
        times = {(name, kind): [] for name in running for kind in ("ideal", "noisy")}
        for turn in range(rounds + 2):
            advance(f"round {turn + 1} of {rounds + 2}")
            for (name, kind), seconds in times.items():
                seconds.append(running[name].run(kind))
    rates = {case: TILES * VECTORS / statistics.median(seconds[2:]) for case, seconds in times.items()}
    for kind in ("ideal", "noisy"):
        peers = {name: rates[name, kind] for name in running if name in PEERS}
        best = max(peers, key=peers.get, default=None)
        ours = rates.get(("rmdlora", kind))
        figures[f"vmm_ratio_{kind}"] = ours / peers[best] if best and ours else None
        figures[f"vmm_best_peer_{kind}"] = best
    figures |= {f"vmm_per_second_{name}_{kind}": round(rate) for (name, kind), rate in rates.items()}
    return figures | {"tiles": TILES, "tile": "32x32", "vectors": VECTORS, "rounds": rounds, "threads": 1,
                      "processor": processor(), "python": platform.python_version()}, missing


def processor():
    """The processor's name, as far as the system tells."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
