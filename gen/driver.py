"""The driver: adapters, states and calibration in and out of the chip, and operations on them.

It needs numpy and the specification, and a `Transport`; so it runs unchanged in a simulation and on the board.
"""

import numpy as np
from rmdlora.golden.spec.formats import lane_seed
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue, need_integer
from rmdlora.golden.spec.registers import (
    OPERATION,
    OPERATION_QUEUE,
    Fault,
    constant_words,
    register,
    window,
)

from .beats import adapter_elements, unpack_beats
from .calibration import measure
from .operations import Layer, OperationFault, Run, Shifts
from .pages import NOTHING, PagedLayer, PagedRun, run_training
from .programming import Programming

__all__ = ["Driver", "Layer", "OperationFault", "Shifts"]

COUNTERS = {"forward": "CYCLES_FORWARD", "backward": "CYCLES_BACKWARD", "update": "CYCLES_UPDATE", "clocks": "CYCLES",
            "completed": "COMPLETED", "conversions": "CONVERSIONS", "tile_reads": "TILE_READS", "pulses": "PULSES",
            "frames": "FRAMES", "given_up": "GIVEN_UP", "verifies": "VERIFIES",
            "corrected": "CORRECTED", "uncorrectable": "UNCORRECTABLE", "updates": "UPDATES", "erasures": "ERASURES"}
WIDE = ("forward", "backward", "update", "clocks")      # 64 bits: the high half follows the low one


class Driver:
    """One chip, through a `Transport`. Refuses a chip that was generated from another configuration.

    Codes are integer arrays, PyTorch-shaped as in the contract; results have the narrowest numpy type of the stream.
    After an `OperationFault` operands may be left over on their way: `soft_reset` takes them back.
    """

    def __init__(self, transport, configuration):
        self.transport, self.configuration = transport, configuration
        self.lanes = configuration.lora
        self.described = {}     # OP_* words as the chip has them
        self.moved, self.cuts = {}, {}
        self.left = {}          # clocks of results, where several runs gave them
        constants = self.read_constants()
        for name, word in constant_words(configuration).items():
            if constants[name] != word and name != "MULTIPLIERS":   # that one is reported, and follows from LANES
                raise RefusedValue(f"{name} of the chip must be {word:#x}, of configuration {configuration.name}, "
                                   f"not {constants[name]:#x}")
        self.start_counting()

    # Memories

    def load_adapter(self, a, b, base=0):
        """Store A ``(r, k)`` and B ``(d, r)`` from row word ``base`` on; return their `Layer`.

        A layer larger than the buffer of a paged configuration stays here, in a `PagedLayer`: all that is done to it
        runs in turns, and is used as any other's. So do its states, 0 at first.
        """
        a, b = self.codes("a", a, "adapter", 2), self.codes("b", b, "adapter", 2)
        if a.shape[0] != b.shape[1]:
            raise RefusedValue(f"b must be (d, {a.shape[0]}) beside a of {a.shape}, not {b.shape}")
        layer = Layer(inputs=a.shape[1], outputs=b.shape[0], rank=a.shape[0], adapter=base)
        words = self.configuration.pipeline.words(layer.inputs, layer.outputs, layer.rank)
        if self.configuration.paged and words > self.configuration.sram.words:
            return PagedLayer(layer.inputs, layer.outputs, layer.rank, a=np.array(a), b=np.array(b),
                              va=np.zeros(a.shape, np.int64), vb=np.zeros(b.shape, np.int64))
        self.write_window("weights", self.elements(layer), np.concatenate([a.ravel(), b.ravel()]))
        return layer

    def read_adapter(self, layer):
        """``(a, b)`` of a layer as they stand."""
        if isinstance(layer, PagedLayer):
            return layer.a.copy(), layer.b.copy()
        return self.split(layer, self.read_window("weights", self.elements(layer)))

    def load_states(self, layer, va=None, vb=None):
        """Store the optimiser state of a layer; 0 where it is not given."""
        shapes = ((layer.rank, layer.inputs), (layer.outputs, layer.rank))
        parts = []
        for name, given, shape in zip(("va", "vb"), (va, vb), shapes, strict=True):
            codes = self.codes(name, np.zeros(shape, np.int64) if given is None else given, "state", 2)
            if codes.shape != shape:
                raise RefusedValue(f"{name} must be {shape}, not {codes.shape}")
            parts.append(codes.ravel())
        if isinstance(layer, PagedLayer):
            layer.va[:], layer.vb[:] = self.split(layer, np.concatenate(parts))
            return
        self.write_window("states", self.elements(layer), np.concatenate(parts))

    def read_states(self, layer):
        """``(va, vb)`` of a layer as they stand."""
        if isinstance(layer, PagedLayer):
            return layer.va.copy(), layer.vb.copy()
        return self.split(layer, self.read_window("states", self.elements(layer)))

    def set_calibration(self, gain, offset, base=0):
        """Store the gains and offsets ``(d,)`` of a layer's outputs from row word ``base`` of the calibration on."""
        gain, offset = self.codes("gain", gain, "gain", 1), self.codes("offset", offset, "sum", 1)
        if gain.shape != offset.shape:
            raise RefusedValue(f"offset must be {gain.shape} as gain, not {offset.shape}")
        place = self.calibration_place(len(gain), base)
        addresses = np.stack([place, place + 8, place + 12], axis=1)
        words = np.stack([gain, offset, offset >> 32], axis=1)
        self.transport.write_many(addresses.ravel(), low_words(words.ravel()))

    def read_calibration(self, outputs, base=0):
        """``(gain, offset)`` of ``outputs`` outputs from row word ``base`` on."""
        place = self.calibration_place(outputs, base)
        words = self.read_words(np.stack([place, place + 8, place + 12], axis=1).ravel()).reshape(-1, 3)
        return signed(words[:, 0], 32), wide(words[:, 1], words[:, 2])

    def calibrate(self, layer, conductances, scale=1.0, patterns=32, zeros=16):
        """Measure what the board adds to the sums of ``layer``, whose cells are ``conductances``, and undo it.

        Reads known inputs (`calibration.measure`, which says what the reference is and what remains), then stores gains
        and offsets. Returns ``(calibration, w_shift)``: a forward with that shift gives ``scale`` (one, or one an
        output) times an exact board's sum. Waits for all operations before it.
        """
        found = measure(self, layer, conductances, patterns, zeros)
        gain, offset, w_shift = found.codes(scale)
        self.set_calibration(gain, offset, layer.calibration)
        return found, w_shift

    def seed(self, seed, rank):
        """Set the random generators of the first ``rank`` lanes to where ``seed`` puts them (contract, section 4)."""
        need_integer("seed", seed, 0, (1 << 32) - 1)
        self.load_generators([lane_seed(seed, lane) for lane in range(rank)])

    def load_generators(self, states):
        """Set the random generators of the first ``len(states)`` lanes."""
        self.transport.write_many(self.generator_place(len(states)), np.asarray(states, np.uint32))

    def read_generators(self, rank):
        """States of the random generators of the first ``rank`` lanes: (rank,) int64."""
        return self.read_words(self.generator_place(rank))

    # Operations

    def forward(self, layer, x, c=None, shifts=None, crossbar=False):
        """`y` ``(n, d)`` of `x` ``(n, k)``; `c` ``(n, d)`` as given (None: 0), or the board's."""
        x = self.codes("x", x, "activation", 2, layer.inputs)
        if crossbar:
            self.configuration.check_activations((int(x.min()), int(x.max())))
        run = self.run(layer, shifts, crossbar)
        run.forward(x, None if crossbar else self.sums(c, len(x), layer))
        return run.finish()["y"]

    def backward(self, layer, x, g, shifts=None):
        """`dx` ``(n, k)`` of the gradients `g` ``(n, d)``, after a forward of the same `x`; adds to the states."""
        x, g = self.codes("x", x, "activation", 2, layer.inputs), self.codes("g", g, "gradient", 2, layer.outputs)
        self.need_rows("g", g, len(x))
        run = self.run(layer, shifts)
        run.backward(x, g)
        return run.finish()["dx"]

    def update(self, layer, shifts=None, nearest=False):
        """Step the trainable lanes' weights by their states."""
        run = self.run(layer, shifts, nearest=nearest)
        run.update()
        run.finish()

    def train(self, layer, x, g, c=None, batch=1, shifts=None, nearest=False, crossbar=False):
        """A training run cut as contract section 6 says: ``(y (n, d), dx (n, k))``, an update after every ``batch``."""
        x, g = self.codes("x", x, "activation", 2, layer.inputs), self.codes("g", g, "gradient", 2, layer.outputs)
        self.need_rows("g", g, len(x))
        need_integer("batch", batch, 1, None)
        c = None if crossbar else self.sums(c, len(x), layer)
        if crossbar:
            self.configuration.check_activations((int(x.min()), int(x.max())))
        run = self.run(layer, shifts, crossbar, nearest)
        if isinstance(layer, PagedLayer):
            results, clocks = run_training(self, layer, x, g, c, batch, shifts or Shifts(), nearest)
            self.left = clocks
            return results["y"], results["dx"]
        for chunk, ends_batch in self.configuration.pipeline.chunks(len(x), batch):
            part = slice(chunk.start, chunk.stop)
            run.forward(x[part], None if crossbar else c[part])
            run.backward(x[part], g[part])
            if ends_batch:
                run.update()
        results = run.finish()
        return results["y"], results["dx"]

    def run(self, layer, shifts, crossbar=False, nearest=False):
        """An empty `Run` of a layer, in turns where it is larger than the buffer."""
        if not isinstance(layer, PagedLayer):
            return Run(self, layer, shifts or Shifts(), crossbar, nearest)
        if crossbar:
            raise RefusedValue(f"a layer whose c comes from the crossbar must fit the {self.configuration.sram.words} "
                               f"row words of the buffer, not be larger")
        return PagedRun(self, layer, shifts or Shifts(), nearest)

    def program_tile(self, tile, codes, tolerance, schedule=None, skip=False):
        """Program array ``tile`` until every cell verifies to ``codes`` (rows, columns) within ``tolerance`` codes.

        `golden.spec.program.verify_code` gives the code of a conductance. ``tolerance`` and ``skip`` (cells to leave
        alone) broadcast against the codes; ``schedule`` (`golden.spec.program.Schedule`): how. Returns ``(pulses,
        status)``, both (rows, columns) int64, of this run; status is a `CellStatus`. After an interruption call it
        again: cells that verify are not pulsed. Waits for all operations before it. Raises `OperationFault`.
        """
        return Programming(self, schedule).run(tile, codes, tolerance, skip)

    def tile_pulses(self, tile):
        """Pulses array ``tile`` had since power-up."""
        self.transport.write(register("PROGRAM_TILE").address, register("PROGRAM_TILE").pack(value=tile))
        return int(self.read_words([register("TILE_PULSES").address])[0])

    def clocks(self, stream):
        """Clock since reset at which each element of ``"y"`` or ``"dx"`` left the chip in the latest call."""
        if stream in self.left:
            return self.left[stream]
        clocks = np.asarray(self.moved[stream].clocks).astype(np.int64)
        beats = np.repeat(clocks[:, None], self.lanes.beat_elements, axis=1)
        return self.join(stream, beats)

    # Counters and control

    def read_constants(self):
        """What the chip says it is, ``{name: word}``: IDENTITY, VERSION, LANES, MULTIPLIERS, LIMITS and SIZES."""
        names = list(constant_words(self.configuration))
        words = self.read_words([register(name).address for name in names])
        return {name: int(word) for name, word in zip(names, words, strict=True)}

    def counters(self):
        """Everything counted since reset or `clear_counters`: {"forward": cycles, ...}, as in `COUNTERS`."""
        names = [(name, entry) for name in COUNTERS for entry in ([COUNTERS[name], f"{COUNTERS[name]}_HIGH"]
                                                                  if name in WIDE else [COUNTERS[name]])]
        words = self.read_words([register(entry).address for _, entry in names])
        counts = dict.fromkeys(COUNTERS, 0)
        for (name, entry), word in zip(names, words, strict=True):
            counts[name] += int(word) << (32 if entry.endswith("_HIGH") else 0)
        return counts

    def clear_counters(self):
        """All counters but the programming pulses to 0. Not while operations run."""
        self.control(clear_counters=1)
        self.start_counting()

    def soft_reset(self):
        """Abandon everything in flight, in the chip and on the way to it and from it; what was raised before is over.

        Operations that run or wait end without a count, and operands and room for results that have not moved are taken
        back. Memories, slots, generators, counters and what is in the array stay. The board starts up anew:
        `wait_board` before the crossbar is used.
        """
        self.control(soft_reset=1)
        self.transport.withdraw()       # after it: a chip that is abandoned takes nothing and gives nothing more
        self.start_counting()

    def set_timeout(self, clocks=None):
        """Clocks a forward or backward may go without anything moving before it ends with a fault; 0: it waits for
        ever. None: what the configuration says (``clock.timeout_clocks``)."""
        clocks = self.configuration.clock.timeout_clocks if clocks is None else clocks
        need_integer("clocks of a time-out", clocks, 0, (1 << 32) - 1)
        entry = register("TIMEOUT")
        self.transport.write(entry.address, entry.pack(value=clocks))

    def wait_board(self, limit=1 << 22):
        """Wait for the end of the board's start-up. Raises `OperationFault` where it failed or takes too long."""
        status = register("STATUS")
        for _ in range(0, limit, 1024):
            fields = status.unpack(int(self.read_words([status.address] * 256)[-1]))     # some 1000 clocks
            if fields["board_ready"]:
                return
            if fields["board_fault"]:
                break
        raise OperationFault(Fault.BOARD)

    def control(self, **events):
        """Write CONTROL."""
        entry = register("CONTROL")
        self.transport.write(entry.address, entry.pack(**events))

    def start_counting(self):
        """Clear what is pending, and count operations from here on."""
        self.transport.write_many(
            [register(name).address for name in ("FAULT", "INTERRUPT", "INTERRUPT_ENABLE")],
            [0xFFFFFFFF, 0xFFFFFFFF, register("INTERRUPT_ENABLE").pack(done=1, fault=1)])
        self.started = self.ended = self.transport.read(register("COMPLETED").address)

    def start(self, operation, limit):
        """Start an operation (a dict of the fields of `OPERATION`), once there is room for it in the queue."""
        while self.started - self.ended >= OPERATION_QUEUE:
            self.wait_for_end(limit)
        words = {}
        for field, value in {"slots": 0, **NOTHING, **operation}.items():
            name, part = OPERATION[field]
            words.setdefault(name, {})[part] = value
        words = {name: register(name).pack(**parts) for name, parts in words.items()}
        changed = {name: word for name, word in words.items() if self.described.get(name) != word}
        self.transport.write_many([register(name).address for name in (*changed, "OP_START")], [*changed.values(), 1])
        self.described |= changed
        self.started += 1

    def wait_for_end(self, limit):
        """Wait until an operation ends. Raises `OperationFault` where one was refused or ended early."""
        interrupt = register("INTERRUPT")
        self.transport.run_until_high("irq", limit)
        self.transport.write(interrupt.address, interrupt.pack(done=1))
        pending, completed = self.read_words([interrupt.address, register("COMPLETED").address])
        self.ended += (int(completed) - self.ended) & 0xFFFFFFFF
        if interrupt.unpack(int(pending))["fault"]:
            self.raise_fault()

    def raise_fault(self):
        """Raise the fault that FAULT names, and clear it; nothing where there is none."""
        fault = register("FAULT")
        code = self.transport.read(fault.address)
        if code:
            self.start_counting()
            raise OperationFault(code)

    # Smaller things

    def codes(self, name, values, key, dimensions, positions=None):
        """``values`` as an integer array of that many dimensions, every code inside the format ``key``."""
        codes = np.asarray(values)
        if codes.dtype.kind not in "iu":
            raise RefusedType(f"{name} must be integers, not {codes.dtype}")
        if codes.ndim != dimensions or 0 in codes.shape or (positions or codes.shape[-1]) != codes.shape[-1]:
            wanted = {1: "(d,)", 2: f"(n, {positions or 'm'})"}[dimensions]
            raise RefusedValue(f"{name} must be {wanted}, not {codes.shape}")
        bits = getattr(self.configuration.formats, key)
        low, high = int(codes.min()), int(codes.max())
        if low < -(1 << (bits - 1)) or high >= 1 << (bits - 1):
            raise RefusedValue(f"{name} must fit {bits} bits, not {low}..{high}")
        return codes.astype(np.int64)

    def sums(self, c, n, layer):
        """The crossbar sums to send: given, or 0."""
        if c is None:
            return np.zeros((n, layer.outputs), np.int64)
        c = self.codes("c", c, "sum", 2, layer.outputs)
        self.need_rows("c", c, n)
        return c

    def need_rows(self, name, codes, n):
        """Refuse operands that are not one for each vector."""
        if len(codes) != n:
            raise RefusedValue(f"{name} must have as many vectors as x ({n}), not {len(codes)}")

    def elements(self, layer):
        """Where A's elements and then B's lie: (count,)."""
        layout = self.lanes.layout(layer.inputs, layer.outputs, layer.rank, layer.adapter)
        if layout.base + layout.words > self.configuration.sram.words:
            raise RefusedValue(f"the adapter must end within the {self.configuration.sram.words} row words of the "
                               f"buffer, not at {layout.base + layout.words}")
        return np.concatenate([places.ravel() for places in adapter_elements(layout)])

    def split(self, layer, values):
        """``(rank, inputs)`` and ``(outputs, rank)`` from what `elements` lists."""
        a = layer.rank * layer.inputs
        return values[:a].reshape(layer.rank, layer.inputs), values[a:].reshape(layer.outputs, layer.rank)

    def write_window(self, name, elements, codes):
        """Store ``codes`` (count,) in a window's ``elements``."""
        place = window(name)
        addresses = place.address + place.stride * elements
        if place.stride == 8:
            addresses = np.stack([addresses, addresses + 4], axis=1).ravel()
            codes = np.stack([codes, codes >> 32], axis=1).ravel()
        self.transport.write_many(addresses, low_words(codes))

    def read_window(self, name, elements):
        """Codes (count,) of a window's ``elements``, int64."""
        place = window(name)
        addresses = place.address + place.stride * elements
        if place.stride == 4:
            return signed(self.read_words(addresses), 32)
        words = self.read_words(np.stack([addresses, addresses + 4], axis=1).ravel()).reshape(-1, 2)
        return wide(words[:, 0], words[:, 1])

    def read_words(self, addresses):
        """Words at ``addresses`` as int64."""
        return np.asarray(self.transport.read_many(addresses)).astype(np.int64)

    def calibration_place(self, outputs, base):
        """Byte address of each output's place in the calibration window."""
        if base + self.lanes.groups(outputs) > self.configuration.calibration_words:
            raise RefusedValue(f"the calibration must end within its {self.configuration.calibration_words} row words, "
                               f"not at {base + self.lanes.groups(outputs)}")
        place = window("calibration")
        return place.address + place.stride * (base * self.lanes.rows + np.arange(outputs))

    def generator_place(self, rank):
        """Byte addresses of the first ``rank`` lanes' generators."""
        need_integer("rank", rank, 1, self.configuration.geometry.max_rank)
        return register("GENERATOR").address + 4 * np.arange(rank)

    def join(self, stream, beats):
        """Beats of the latest call's operations, as (n, positions)."""
        cuts, begin = self.cuts[stream], 0
        joined = np.empty([max(part[axis].stop for part in cuts) for axis in range(2)], beats.dtype)
        for vectors, positions in cuts:
            end = begin + self.lanes.blocks(len(vectors)) * self.lanes.groups(len(positions))
            joined[vectors.start:vectors.stop, positions.start:positions.stop] = unpack_beats(
                beats[begin:end], self.lanes, len(vectors), len(positions))
            begin = end
        return joined


def low_words(codes):
    """The low 32 bits of each code, as uint32."""
    return (codes & 0xFFFFFFFF).astype(np.uint32)


def signed(words, bits):
    """Words (int64, not negative) of ``bits`` bits as signed codes."""
    return words - ((words >> (bits - 1)) << bits)


def wide(low, high):
    """Low and high words as signed 64-bit codes."""
    return low | (signed(high, 32) << 32)
