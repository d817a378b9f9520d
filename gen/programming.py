"""Programming as the host sees it: how, a map out, results back."""

import numpy as np
from rmdlora.golden.spec.program import CODE_HIGH, TOLERANCE_HIGH, Schedule, program_cycles
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue, need_integer
from rmdlora.golden.spec.registers import PULSES, Kind, register, window

__all__ = ["Programming"]

PATIENCE = 2            # times the clocks that every pulse allowed would take
GRACE = 1_000_000


class Programming:
    """Programming of tiles through a `Driver` with one ``schedule``."""

    def __init__(self, driver, schedule=None):
        self.driver = driver
        self.configuration = driver.configuration
        self.schedule = schedule or Schedule()
        self.schedule.check(self.configuration.board)

    def run(self, tile, codes, tolerance, skip):
        """As `Driver.program_tile`."""
        driver = self.driver
        need_integer("tile", tile, 0, self.configuration.crossbar.arrays - 1)
        words, visited = self.pack(codes, tolerance, skip)
        limit = self.limit(visited)
        while driver.started != driver.ended:
            driver.wait_for_end(limit)      # one of them may be using the map
        place = window("cells")
        addresses = place.address + place.stride * np.arange(words.size)
        driver.transport.write_many(addresses, words.ravel())
        self.describe()
        driver.start({"kind": Kind.PROGRAM, "tile": tile}, limit)
        while driver.started != driver.ended:
            driver.wait_for_end(limit)
        results = driver.read_words(addresses).reshape(words.shape)
        return results & 0xFFFF, results >> 30

    def pack(self, codes, tolerance, skip):
        """Words of the map (rows, columns) uint32, and how many cells it visits."""
        geometry = self.configuration.geometry
        shape = (geometry.tile_rows, geometry.tile_columns)
        parts = []
        for name, values, high in (("codes", codes, CODE_HIGH), ("tolerance", tolerance, TOLERANCE_HIGH)):
            values = np.asarray(values)
            if values.dtype.kind not in "iu":
                raise RefusedType(f"{name} must be integers, not {values.dtype}")
            if values.shape not in (shape, ()):
                raise RefusedValue(f"{name} must be {shape}, not {values.shape}")
            if not 0 <= int(values.min()) <= int(values.max()) <= high:
                raise RefusedValue(f"{name} must be 0..{high}, not {values.min()}..{values.max()}")
            parts.append(np.broadcast_to(values, shape).astype(np.int64))
        skip = np.broadcast_to(np.asarray(skip, dtype=bool), shape)
        return (parts[0] | parts[1] << 16 | skip.astype(np.int64) << 31).astype(np.uint32), int((~skip).sum())

    def describe(self):
        """Write the PROGRAM_* registers."""
        schedule, words = self.schedule, {}
        words["PROGRAM_CONTROL"] = {"forming": schedule.forming, "analyser": schedule.analyser, "limit": schedule.limit}
        for kind in PULSES:
            pulse = getattr(schedule, kind.lower())
            words[f"PROGRAM_{kind}_AMPLITUDE"] = {"start": pulse.start, "step": pulse.step}
            words[f"PROGRAM_{kind}_BOUNDS"] = {"most": pulse.most, "gate": pulse.gate}
            words[f"PROGRAM_{kind}_TICKS"] = {"value": pulse.ticks}
        entries = [(register(name), fields) for name, fields in words.items()]
        self.driver.transport.write_many([entry.address for entry, _ in entries],
                                         [entry.pack(**fields) for entry, fields in entries])

    def limit(self, visited):
        """Clocks to wait for it."""
        board, most = self.configuration.board, visited * self.schedule.limit
        ticks = max(pulse.ticks for pulse in self.schedule.kinds)
        if self.schedule.analyser:
            ticks = 2 * board.analyser_ticks
        return GRACE + PATIENCE * program_cycles(self.configuration, visited, most, most * ticks)
