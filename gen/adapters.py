"""Adapters by name: select and sum them, keep a version while another is trained, erase every trace of one."""

import dataclasses

import numpy as np
from rmdlora.golden.spec.refusal import RefusedValue
from rmdlora.golden.spec.registers import SLOTS, SUMMED, Kind, register

from .operations import GRACE, PATIENCE, Layer

__all__ = ["Adapters", "SlotLayer"]


@dataclasses.dataclass(frozen=True)
class SlotLayer(Layer):
    """A layer whose adapters are named by their ``slots``; ``ranks``: theirs, in that order.

    ``rank`` and the masks are of the operation's lanes (`Lanes.offsets`), padding between adapters included. Without a
    mask every lane of every adapter is active, and no padding.
    """

    slots: tuple = ()
    ranks: tuple = ()

    @property
    def fields(self):
        """Fields of operations on it."""
        fields = super().fields
        del fields["ranks"]
        return {**fields, "slots": len(self.slots), **{f"slot_{i}": slot for i, slot in enumerate(self.slots)}}


@dataclasses.dataclass
class Adapter:
    """What `Adapters` knows of one: its sizes, its ``slot``, the first row word ``kept`` that is in the slot table.

    ``other``: row words of a second version, or None. While it is a ``draft``, ``draft_slot`` names it and operations
    work on it; else it is what was before, or what was rolled back. ``erasing``: an erasure of it has begun, and
    ``mark`` is the slot that says so of ``other``.
    """

    inputs: int
    outputs: int
    rank: int
    calibration: int
    tile: int
    slot: int
    kept: int
    other: int | None = None
    draft_slot: int | None = None
    erasing: bool = False
    mark: int | None = None

    @property
    def drafted(self):
        """Whether operations work on a draft."""
        return self.draft_slot is not None

    def version(self, base):
        """The `Layer` of one of its versions."""
        return Layer(self.inputs, self.outputs, self.rank, base, self.calibration, self.tile)


class Adapters:
    """The adapters in the slots of a chip, by name, through a `Driver`.

    An adapter is one version at first. `snapshot` copies it, and from then on operations work on the copy, the draft;
    what the slot table says stays as it was. `commit` makes the draft the adapter, with one word; `roll_back` goes back
    to what was. So a reset at any time leaves in the slot one whole version or the other, and a host that starts again
    finds it there (`adopt`). `erase` erases every version; where it did not come to its end, whatever the reason, the
    adapter may be used no more, but erased again: by this host under its name, by one that starts again through the
    slots that are `unfinished`.

    Row words and slots are given out here; the buffer must hold nothing else but below ``first`` row words and
    ``first_slot`` slots. Refusals name the adapter; faults of the chip raise `OperationFault`.
    """

    def __init__(self, driver, first=0, first_slot=0):
        self.driver, self.first, self.first_slot = driver, first, first_slot
        self.adapters = {}

    # Adapters

    def add(self, name, a, b, va=None, vb=None, calibration=0, tile=0):
        """Store A ``(r, k)``, B ``(d, r)`` and states (None: 0) under a new name, then give them a slot."""
        if name in self.adapters:
            raise RefusedValue(f"an adapter's name must be new, not {name!r}, which is there")
        inputs, outputs, rank = np.shape(a)[-1], np.shape(b)[0], np.shape(a)[0]
        base = self.find_row_words(self.layout(inputs, outputs, rank).words)
        layer = self.driver.load_adapter(a, b, base)
        self.driver.load_states(layer, va, vb)
        slot = self.find_slot()
        self.write_slot(slot, base, rank)
        self.adapters[name] = Adapter(inputs, outputs, rank, calibration, tile, slot, base)

    def adopt(self, name, slot, inputs, outputs, calibration=0, tile=0):
        """Know an adapter that lies in a slot already, as after a start of the host."""
        if name in self.adapters:
            raise RefusedValue(f"an adapter's name must be new, not {name!r}, which is there")
        entry = register("SLOT")
        found = entry.unpack(self.driver.transport.read(entry.address + 4 * slot))
        if not found["valid"] and not found["rank"]:
            raise RefusedValue(f"slot of adapter {name!r} must be valid, and {slot} is not")
        self.adapters[name] = Adapter(inputs, outputs, found["rank"], calibration, tile, slot, found["base"],
                                      erasing=not found["valid"])

    def unfinished(self):
        """Slots of versions whose erasure has begun and not come to its end: `adopt` them, and `erase` them again."""
        entry = register("SLOT")
        words = self.driver.read_words(entry.address + 4 * np.arange(self.first_slot, SLOTS))
        found = [entry.unpack(int(word)) for word in words]
        return [self.first_slot + index for index, fields in enumerate(found)
                if fields["rank"] and not fields["valid"]]

    def layer(self, *names, active=None, trainable=None):
        """The layer of one adapter (select) or of several (sum), for forward, backward, update and train.

        ``active``, ``trainable``: ``{name: mask of that adapter's own lanes}``; an adapter that is not in it has all of
        its lanes active, and all active ones trainable.
        """
        chosen = [self.find(name) for name in names]
        if not 1 <= len(names) <= SUMMED or len(set(names)) != len(names):
            raise RefusedValue(f"adapters of an operation must be 1 to {SUMMED} different ones, not {', '.join(names)}")
        first = chosen[0]
        for name, adapter in zip(names, chosen, strict=True):
            for key in ("inputs", "outputs", "calibration", "tile"):
                if getattr(adapter, key) != getattr(first, key):
                    raise RefusedValue(f"{key} of adapter {name!r} must be {getattr(first, key)} as of {names[0]!r}, "
                                       f"not {getattr(adapter, key)}")
        ranks = tuple(adapter.rank for adapter in chosen)
        *offsets, lanes = self.driver.lanes.offsets(ranks)
        largest = self.driver.configuration.geometry.max_rank
        if len(names) > 1 and lanes > self.driver.lanes.rank_groups(largest) * self.driver.lanes.lanes:
            raise RefusedValue(f"lanes of adapters {', '.join(names)} must be at most those of rank {largest}, "
                               f"not {lanes}")
        masks = self.gather_masks(names, ranks, offsets, active or {}, trainable or {})
        slots = tuple(adapter.draft_slot if adapter.drafted else adapter.slot for adapter in chosen)
        return SlotLayer(first.inputs, first.outputs, offsets[-1] + ranks[-1], 0, first.calibration, first.tile, *masks,
                         slots=slots, ranks=ranks)

    def read(self, name):
        """``(a, b)`` of the version that operations work on."""
        return self.driver.read_adapter(self.version(self.find(name)))

    def read_states(self, name):
        """``(va, vb)`` of the version that operations work on."""
        return self.driver.read_states(self.version(self.find(name)))

    # Versions

    def snapshot(self, name):
        """Keep the adapter as it is: operations work on a copy from here on."""
        adapter = self.find(name)
        if adapter.drafted:
            raise RefusedValue(f"adapter {name!r} must be committed or rolled back before its next snapshot")
        if adapter.other is None:
            adapter.other = self.find_row_words(self.words(adapter))
        draft_slot = self.find_slot()
        self.walk(Kind.COPY, adapter.version(adapter.kept), adapter.other)
        self.write_slot(draft_slot, adapter.other, adapter.rank)
        adapter.draft_slot = draft_slot

    def commit(self, name):
        """Make the draft the adapter. What it was stays behind it, until the next snapshot or `erase`."""
        adapter = self.find_drafted(name)
        self.write_slot(adapter.slot, adapter.other, adapter.rank)
        adapter.kept, adapter.other = adapter.other, adapter.kept
        self.end_draft(adapter)

    def roll_back(self, name):
        """Leave the draft for what was before."""
        self.end_draft(self.find_drafted(name))

    def erase(self, name):
        """Erase all versions of an adapter, weights and states, look at every row word of them, and forget its name.

        Returns their checksums, ``{first row word: checksum}``. Raises `OperationFault` where something is left. Until
        all of it is gone, a slot that is not valid but has a rank names each version (`unfinished`), as far as there
        are slots.
        """
        adapter = self.find(name, erasing=True)
        if adapter.drafted:
            adapter.mark, adapter.draft_slot = adapter.draft_slot, None
        elif adapter.other is not None and adapter.mark is None:
            adapter.mark = next(iter(self.free_slots()), None)
        adapter.erasing = True
        if adapter.mark is not None:
            self.write_slot(adapter.mark, adapter.other, adapter.rank, valid=0)
        self.write_slot(adapter.slot, adapter.kept, adapter.rank, valid=0)
        versions = [adapter.version(base) for base in (adapter.kept, adapter.other) if base is not None]
        for version in versions:
            self.walk(Kind.ERASE, version)
        checksums = {version.adapter: self.sum_up(version) for version in versions}
        for slot in (adapter.slot, adapter.mark):
            if slot is not None:
                self.write_slot(slot, 0, 0, valid=0)
        del self.adapters[name]
        return checksums

    def checksum(self, name):
        """Checksum of the version that operations work on (`golden.spec.registers`, CHECKSUM)."""
        return self.sum_up(self.version(self.find(name)))

    # Smaller things

    def find(self, name, erasing=False):
        """The `Adapter` of a name; one whose erasure has begun only for ``erasing``."""
        if name not in self.adapters:
            raise RefusedValue(f"adapter must be one of {', '.join(map(repr, self.adapters)) or 'those added: none'}, "
                               f"not {name!r}")
        if self.adapters[name].erasing and not erasing:
            raise RefusedValue(f"adapter {name!r} must be erased again, since an erasure of it has not come to its end")
        return self.adapters[name]

    def find_drafted(self, name):
        """The `Adapter` of a name, which must have a draft."""
        adapter = self.find(name)
        if not adapter.drafted:
            raise RefusedValue(f"adapter {name!r} must have a snapshot behind it, and has none since it was added, "
                               "committed or rolled back")
        return adapter

    def version(self, adapter):
        """The `Layer` of the version that operations work on."""
        return adapter.version(adapter.other if adapter.drafted else adapter.kept)

    def gather_masks(self, names, ranks, offsets, active, trainable):
        """``(active, trainable)`` over the operation's lanes from masks of the adapters' own lanes."""
        for key, masks in (("active", active), ("trainable", trainable)):
            for name in masks:
                if name not in names:
                    raise RefusedValue(f"{key} must be of adapters of the operation, not of {name!r}")
        gathered = [0, 0]
        for name, rank, offset in zip(names, ranks, offsets, strict=True):
            on = active.get(name, (1 << rank) - 1)
            learns = trainable.get(name, on)
            if on >> rank or learns & ~on:
                raise RefusedValue(f"masks of adapter {name!r} must be of its {rank} lanes, trainable ones active, not "
                                   f"{on:#b} and {learns:#b}")
            gathered = [gathered[0] | on << offset, gathered[1] | learns << offset]
        return gathered

    def layout(self, inputs, outputs, rank):
        """The `Layout` of an adapter of such sizes, from row word 0."""
        return self.driver.lanes.layout(inputs, outputs, rank)

    def words(self, adapter):
        """Row words of one version."""
        return self.layout(adapter.inputs, adapter.outputs, adapter.rank).words

    def find_row_words(self, words):
        """The first row word of so many that are nobody's."""
        taken = sorted((base, base + self.words(adapter)) for adapter in self.adapters.values()
                       for base in (adapter.kept, adapter.other) if base is not None)
        start = self.first
        for base, end in taken:
            if start + words <= base:
                break
            start = max(start, end)
        if start + words > self.driver.configuration.sram.words:
            raise RefusedValue(f"{words} row words for an adapter must be free in the buffer of "
                               f"{self.driver.configuration.sram.words}, and are not")
        return start

    def find_slot(self):
        """A slot that is nobody's."""
        for slot in self.free_slots():
            return slot
        raise RefusedValue(f"adapters and drafts must be at most the {SLOTS - self.first_slot} slots, not more")

    def free_slots(self):
        """Slots that are nobody's, and name nothing whose erasure is `unfinished`."""
        taken = {slot for adapter in self.adapters.values()
                 for slot in (adapter.slot, adapter.draft_slot, adapter.mark)} | set(self.unfinished())
        return [slot for slot in range(self.first_slot, SLOTS) if slot not in taken]

    def write_slot(self, slot, base, rank, valid=1):
        """Write an entry of the slot table: one word."""
        entry = register("SLOT")
        self.driver.transport.write(entry.address + 4 * slot, entry.pack(base=base, rank=rank, valid=valid))

    def end_draft(self, adapter):
        """No operation works on the draft any more."""
        self.write_slot(adapter.draft_slot, 0, 0, valid=0)
        adapter.draft_slot = None

    def walk(self, kind, layer, target=0):
        """Run one walk over a layer's row words, after everything that was started before."""
        pipeline = self.driver.configuration.pipeline
        sizes = layer.inputs, layer.outputs, layer.rank
        limit = GRACE + PATIENCE * max(pipeline.copy(*sizes), pipeline.erase(*sizes), pipeline.checksum(*sizes))
        self.driver.start({**layer.fields, "kind": kind, "target": target}, limit)
        while self.driver.started != self.driver.ended:
            self.driver.wait_for_end(limit)

    def sum_up(self, layer):
        """The checksum of a layer's row words."""
        self.walk(Kind.CHECKSUM, layer)
        return self.driver.transport.read(register("CHECKSUM").address)
