"""The register map: one table that gateware, driver, C header, manual and benches read.

All registers are 32 bits wide at byte addresses of the AXI4-Lite port; 64-bit counters are two registers, the low
half first (reading it holds the high half for the next read). Above the registers lie *windows*: the
cells of a programming map, and the buffer's memories, an element each 8 bytes (state, gain and offset) or 4 bytes
(adapter weights).
"""

import dataclasses

from .refusal import RefusedValue

__all__ = [
    "ADDRESS_BITS",
    "OPERATION",
    "OPERATION_QUEUE",
    "PULSES",
    "REGISTERS",
    "SLOTS",
    "SUMMED",
    "WINDOWS",
    "Fault",
    "Field",
    "Kind",
    "Register",
    "Window",
    "constant_words",
    "register",
    "reset_values",
    "window",
]

ADDRESS_BITS = 26
OPERATION_QUEUE = 4     # operations that may wait; OP_START answers with an error while so many do
SLOTS = 32              # entries of the slot table
SUMMED = 4              # slots that one operation may name
IDENTITY = 0x524D444C   # "RMDL"
VERSION = 0x00000100


class Kind:
    """Codes of ``OP_CONTROL.kind``, and what each does (`MEANINGS`, by the name of its code)."""

    FORWARD = 0
    BACKWARD = 1
    UPDATE = 2
    NAMES = ("forward", "backward", "update")   # of the LoRA unit; 3 is none
    PROGRAM = 4
    COPY = 5
    ERASE = 6
    CHECKSUM = 7
    WALKS = (COPY, ERASE, CHECKSUM)
    MEANINGS = (
        ("FORWARD", "y of x: takes n vectors from the x stream and, unless OP_CONTROL.crossbar, n of sums from the c "
                    "stream; gives n to the y stream"),
        ("BACKWARD", "dx of g, after a forward of the same x: takes n vectors from the x and the g stream, gives n to "
                     "the dx stream, adds to the optimiser state"),
        ("UPDATE", "steps the weights of the trainable lanes by their state"),
        ("PROGRAM", "programs the tile OP_TILE to the map in the window `cells`; the crossbar alone"),
        ("COPY", "copies an adapter's row words, weights and states, to OP_TARGET"),
        ("ERASE", "clears an adapter's row words, weights and states, and reads them again"),
        ("CHECKSUM", "takes the checksum of an adapter's weights and states into CHECKSUM"),
    )


class Fault:
    """Codes of ``FAULT.code``: why the last operation was refused or ended early. 0 is none.

    A code's place in `MEANINGS` is the code."""

    NONE = 0
    KIND = 1
    SIZE = 2
    SPACE = 3
    MASK = 4
    SHIFT = 5
    CHUNK = 6
    BOARD = 7
    FRAMING = 8
    SLOT = 9
    ERASURE = 10
    PULSE = 11
    ANALYSER = 12
    STREAM = 13
    CROSSBAR = 14
    PAGE = 15
    MEANINGS = (
        ("NONE", "nothing happened"),
        ("KIND", "no such operation"),
        ("SIZE", "n, k, d, r or the lanes of a sum are 0 or above the configuration's largest"),
        ("SPACE", "adapter, calibration or tiles reach past the end of their memory, or adapters into one another"),
        ("MASK", "trainable is not a subset of active, or a mask names a lane that is no adapter's"),
        ("SHIFT", "a shift above its limit"),
        ("CHUNK", "a backward over more vectors than lora.chunk, or than the forward before it"),
        ("BOARD", "a crossbar operation on a board whose start-up failed or has not ended"),
        ("FRAMING", "an ADC's framing bits were wrong: its data line is stuck, or it does not convert"),
        ("SLOT", "a slot named that is not valid, that another names too, or more slots than can be"),
        ("ERASURE", "an erased row word did not read back as 0"),
        ("PULSE", "a programming pulse narrower than the board's switches can make it"),
        ("ANALYSER", "the external analyser did not answer a trigger in time"),
        ("STREAM", "for TIMEOUT clocks nothing moved: an operand was not sent, or a result not taken"),
        ("CROSSBAR", "for TIMEOUT clocks nothing moved, and it was the crossbar that kept the others waiting"),
        ("PAGE", "a turn whose stretch or exchange does not fit a page, over more vectors than lora.chunk, of a sum or "
                 "with the crossbar; or any on a chip without pages"),
    )
    NAMES = tuple(name.lower() for name, _ in MEANINGS)    # by code
    EARLY = (FRAMING, STREAM, CROSSBAR)     # end a forward or backward that runs, and those that wait behind it


@dataclasses.dataclass(frozen=True)
class Field:
    """Bits ``low .. low + bits - 1`` of a register."""

    name: str
    low: int
    bits: int
    text: str
    reset: int = 0

    @property
    def mask(self):
        """Its bits, in their place."""
        return (1 << self.bits) - 1 << self.low


@dataclasses.dataclass(frozen=True)
class Register:
    """A register: ``access`` is ``rw`` (storage), ``ro`` (status), ``wo`` (a write is an event), ``w1c``, ``rw_port``
    (the gateware answers reads and takes writes itself)."""

    name: str
    address: int
    access: str
    text: str
    fields: tuple = ()
    count: int = 1

    def field(self, name):
        """One field by name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise RefusedValue(f"field must be one of {', '.join(f.name for f in self.fields)}, not {name!r}")

    def pack(self, **values):
        """The register's word with the given fields, the others at their reset values."""
        word = 0
        for field in self.fields:
            value = int(values.pop(field.name, field.reset))
            if not 0 <= value < 1 << field.bits:
                raise RefusedValue(f"{self.name}.{field.name} must fit {field.bits} bits, not {value}")
            word |= value << field.low
        if values:
            raise RefusedValue(f"{self.name} has no field {', '.join(values)}")
        return word

    def unpack(self, word):
        """``{field: value}`` of a word."""
        return {field.name: word >> field.low & (1 << field.bits) - 1 for field in self.fields}


@dataclasses.dataclass(frozen=True)
class Window:
    """A memory seen through the AXI4-Lite port: ``stride`` bytes an element from byte address ``address`` on.

    ``words`` are the words of an element, as registers whose ``address`` counts from the element's; other words of it
    answer with an error.
    """

    name: str
    address: int
    size: int
    stride: int
    text: str
    words: tuple = ()


def whole(text, bits=32, reset=0):
    """The one field of a register that is a plain number."""
    return (Field("value", 0, bits, text, reset),)


PULSES = ("SET", "RESET", "FORM")       # kinds of programming pulse, in the order of their registers

REGISTERS = (
    Register("IDENTITY", 0x000, "ro", "Reads 0x524D444C.", whole("the letters RMDL", reset=IDENTITY)),
    Register("VERSION", 0x004, "ro", "Version of the register map.", whole("major in the upper half", reset=VERSION)),
    Register("LANES", 0x008, "ro", "How the multipliers are shared out.", (
        Field("lanes", 0, 8, "rank lanes"), Field("rows", 8, 8, "rows"), Field("vectors", 16, 8, "vectors"),
        Field("max_rank", 24, 8, "largest rank"))),
    Register("MULTIPLIERS", 0x00C, "ro", "Multipliers of the LoRA products.", whole("lanes x rows x vectors")),
    Register("LIMITS", 0x010, "ro", "Largest layer.", (
        Field("max_inputs", 0, 16, "largest k"), Field("max_outputs", 16, 16, "largest d"))),
    Register("SIZES", 0x014, "ro", "Memories.", (
        Field("sram_words", 0, 20, "row words of the buffer, minus one"),
        Field("chunk", 20, 12, "lora.chunk, minus one"))),
    Register("CONTROL", 0x018, "wo", "Events.", (
        Field("soft_reset", 0, 1, "abandon everything in flight; memories and generators stay"),
        Field("clear_counters", 1, 1, "all counters but PULSES to 0"))),
    Register("STATUS", 0x01C, "ro", "What the unit is doing.", (
        Field("busy", 0, 1, "an operation runs or waits"),
        Field("board_ready", 1, 1, "the board's start-up has ended well"),
        Field("board_fault", 2, 1, "the board's start-up failed"),
        Field("halted", 3, 1, "an operation ended early: those behind it end unrun, until FAULT is cleared"),
        Field("queued", 8, 8, "operations waiting"))),
    Register("FAULT", 0x020, "w1c",
             "First operation refused or ended early since this was cleared; write 1s to clear.", (
        Field("code", 0, 8, "a fault code"),)),
    Register("INTERRUPT", 0x024, "w1c", "Pending interrupts; write 1 to clear.", (
        Field("done", 0, 1, "an operation has ended"), Field("fault", 1, 1, "FAULT.code became non-zero"))),
    Register("INTERRUPT_ENABLE", 0x028, "rw", "Which pending interrupts drive the pin.", (
        Field("done", 0, 1, "done drives the pin"), Field("fault", 1, 1, "fault drives the pin"))),
    Register("COMPLETED", 0x02C, "ro", "Operations ended since reset, refused ones included.", whole("count")),
    Register("CHECKSUM", 0x030, "ro", "Of the latest CHECKSUM operation: CRC-32 (of zlib) of the adapter's elements, "
             "row word by row word, each as 4 bytes of weight and 8 of state, little-endian, sign-extended; padding is "
             "0.", whole("CRC-32")),
    Register("TIMEOUT", 0x034, "rw", "Clocks a forward or backward may go without a beat at any stream and without a "
             "conversion, before it ends with Fault.STREAM or Fault.CROSSBAR; 0 waits for ever. Reset value: "
             "clock.timeout_clocks.", whole("clocks")),
    Register("OP_CONTROL", 0x040, "rw", "What the next operation is.", (
        Field("kind", 0, 3, "0 forward, 1 backward, 2 update, 4 program a tile, 5 copy, 6 erase, 7 checksum"),
        Field("crossbar", 4, 1, "c comes from the crossbar instead of the c stream"),
        Field("nearest", 5, 1, "update rounds to nearest instead of stochastically"),
        Field("high", 6, 1, "the crossbar's tiles are read in the high gain range"))),
    Register("OP_VECTORS", 0x044, "rw", "Vectors of the operation, n.", whole("n")),
    Register("OP_INPUTS", 0x048, "rw", "Inputs of the layer, k.", whole("k", 16)),
    Register("OP_OUTPUTS", 0x04C, "rw", "Outputs of the layer, d.", whole("d", 16)),
    Register("OP_RANK", 0x050, "rw", "Rank of the adapter, r.", whole("r", 8)),
    Register("OP_ADAPTER", 0x054, "rw", "First row word of the adapter.", whole("row word", 20)),
    Register("OP_CALIBRATION", 0x058, "rw", "First row word of the layer's gains and offsets.", whole("row word", 20)),
    Register("OP_TILE", 0x05C, "rw", "First array of the layer; tile (row tile, column tile) is array "
             "OP_TILE + row_tile * column_tiles + column_tile.", whole("array", 16)),
    Register("OP_ACTIVE", 0x060, "rw", "Active rank lanes.", whole("mask")),
    Register("OP_TRAINABLE", 0x064, "rw", "Trainable rank lanes, a subset of the active ones.", whole("mask")),
    Register("OP_FORWARD_SHIFTS", 0x068, "rw", "Shifts of a forward.", (
        Field("p", 0, 6, "of A x, 0..47"), Field("u", 8, 6, "of B p, 0..47"),
        Field("w", 16, 6, "of (c - offset) gain, 0..47"))),
    Register("OP_BACKWARD_SHIFTS", 0x06C, "rw", "Shifts of a backward.", (
        Field("q", 0, 6, "of B' g, 0..47"), Field("dx", 8, 6, "of A' q, 0..47"), Field("va", 16, 6, "of q x, 0..47"),
        Field("vb", 24, 6, "of g p, 0..47"))),
    Register("OP_UPDATE_SHIFTS", 0x070, "rw", "Shifts of an update.", (
        Field("lra", 0, 5, "of VA: the learning rate of A is 2 to the minus this"), Field("lrb", 8, 5, "of VB"),
        Field("momentum", 16, 4, "m: states keep 1 - 2 to the minus m of themselves; 0: nothing"))),
    Register("OP_START", 0x074, "wo", "Any write queues the operation described above; an error answers it where "
             "OPERATION_QUEUE of them wait already.", whole("any")),
    Register("OP_SLOTS", 0x078, "rw", "Adapters by their slots instead of OP_ADAPTER and OP_RANK. Looked up when the "
             "operation is queued.", (
        Field("count", 0, 3, "slots named; 0: OP_ADAPTER and OP_RANK say"),
        *(Field(f"slot_{index}", 8 + 5 * index, 5, "entry of the slot table") for index in range(SUMMED)))),
    Register("OP_TARGET", 0x07C, "rw", "First row word of where a copy goes.", whole("row word", 20)),
    Register("CYCLES_FORWARD", 0x080, "ro", "Cycles of forwards. Reading holds the high half.", whole("low half")),
    Register("CYCLES_FORWARD_HIGH", 0x084, "ro", "As held by reading CYCLES_FORWARD.", whole("high half")),
    Register("CYCLES_BACKWARD", 0x088, "ro", "Cycles of backwards. Reading holds the high half.", whole("low half")),
    Register("CYCLES_BACKWARD_HIGH", 0x08C, "ro", "As held by reading CYCLES_BACKWARD.", whole("high half")),
    Register("CYCLES_UPDATE", 0x090, "ro", "Cycles of updates. Reading holds the high half.", whole("low half")),
    Register("CYCLES_UPDATE_HIGH", 0x094, "ro", "As held by reading CYCLES_UPDATE.", whole("high half")),
    Register("CYCLES", 0x098, "ro", "Clocks since reset. Reading holds the high half.", whole("low half")),
    Register("CYCLES_HIGH", 0x09C, "ro", "As held by reading CYCLES.", whole("high half")),
    Register("CONVERSIONS", 0x0A0, "ro", "ADC conversion cycles (all ADCs at once).", whole("count")),
    Register("TILE_READS", 0x0A4, "ro", "Tiles read.", whole("count")),
    Register("PULSES", 0x0A8, "ro", "Programming pulses since power-up: RM writes.", whole("count")),
    Register("FRAMES", 0x0AC, "ro", "DAC frames sent.", whole("count")),
    Register("CORRECTED", 0x0B0, "ro", "Row words read from the buffer that had an element with one flipped bit, since "
             "mended; 0 without error correction.", whole("count")),
    Register("UNCORRECTABLE", 0x0B4, "ro", "Row words read from the buffer that had an element with two flipped bits; "
             "0 without error correction.", whole("count")),
    Register("GIVEN_UP", 0x0B8, "ro", "Cells given up by programming: out of pulses, or the analyser silent.",
             whole("count")),
    Register("VERIFIES", 0x0BC, "ro", "Cells read alone by programming.", whole("count")),
    Register("UPDATES", 0x0C0, "ro", "Updates run.", whole("count")),
    Register("ERASURES", 0x0C4, "ro", "Adapters and snapshots erased and found to be.", whole("count")),
    Register("SATURATED", 0x0C8, "ro", "Conversions in which an ADC's code was at an end of its range: over-range, "
             "which is no error.", whole("count")),
    Register("OP_PAGE", 0x0E0, "rw", "What of a layer larger than the buffer the operation works on (a turn). 0 for "
             "any other.", (
        Field("region", 0, 2, "0 all of the layer, 1 a stretch of A at OP_ADAPTER, 2 one of B, 3 nothing"),
        Field("opens", 2, 1, "the stretch is the first of its matrix: sums begin"),
        Field("closes", 3, 1, "the stretch is the last: sums are rounded"))),
    Register("OP_LEAVES", 0x0E4, "rw", "What leaves, from its first row word on, the page that the operation does not "
             "work on (OP_ADAPTER lies in the other), through the stream store.", (
        Field("words", 0, 20, "row words"), Field("weights", 30, 1, "their weights"),
        Field("states", 31, 1, "their states"))),
    Register("OP_ENTERS", 0x0E8, "rw", "What enters that page, from its first row word on, from the stream load.", (
        Field("words", 0, 20, "row words"), Field("weights", 30, 1, "their weights"),
        Field("states", 31, 1, "their states"))),
    Register("GENERATOR", 0x100, "rw_port", "State of a rank lane's random generator; writing 0 stores 1.",
             whole("xorshift32 state", reset=1), count=32),
    Register("SLOT", 0x180, "rw_port", "Entry of the slot table: an adapter. No reset touches it, and one write makes "
             "it another one; valid is 0 after power-up.", (
        Field("base", 0, 20, "first row word"), Field("rank", 20, 8, "r"),
        Field("valid", 31, 1, "the slot may be named")), count=SLOTS),
    Register("PROGRAM_CONTROL", 0x200, "rw", "How tiles are programmed. Taken, as all PROGRAM_* are, when an operation "
             "starts.", (
        Field("forming", 0, 1, "pulses are FORM where they were SET; cells above their window are left alone"),
        Field("analyser", 1, 1, "the external analyser makes the pulses on a trigger"),
        Field("limit", 16, 16, "most pulses a cell"))),
    *(entry for index, kind in enumerate(PULSES) for entry in (
        Register(f"PROGRAM_{kind}_AMPLITUDE", 0x210 + 16 * index, "rw",
                 f"{kind}: codes of {'VP_BL' if kind == 'RESET' else 'VP_SL'}.", (
                     Field("start", 0, 16, "of the first pulse"), Field("step", 16, 16, "added with every further"))),
        Register(f"PROGRAM_{kind}_BOUNDS", 0x214 + 16 * index, "rw", f"{kind}: more codes.", (
            Field("most", 0, 16, "highest amplitude"), Field("gate", 16, 16, "of VP_WL"))),
        Register(f"PROGRAM_{kind}_TICKS", 0x218 + 16 * index, "rw", f"{kind}: width.",
                 whole("clocks; refused below board.shortest_pulse_ticks without the analyser", 20)))),
    Register("PROGRAM_TILE", 0x240, "rw", "Which array TILE_PULSES shows.", whole("array", 16)),
    Register("TILE_PULSES", 0x244, "ro", "Pulses since power-up of the array PROGRAM_TILE (of the first 4096; others "
             "read 0). No reset clears it.", whole("count")),
)

WINDOWS = (
    Window("cells", 0x0800000, 0x0100000, 4, "The map of a programming operation, cells in row-major order: a write is "
           "a cell's target, a read its result.", (
        Register("TARGET", 0x0, "wo", "What the cell shall become.", (
            Field("code", 0, 13, "code of a verify to reach"), Field("tolerance", 16, 10, "codes either way that do"),
            Field("skip", 31, 1, "leave the cell alone"))),
        Register("RESULT", 0x0, "ro", "What became of it.", (
            Field("pulses", 0, 16, "pulses it took"),
            Field("status", 30, 2, "0 skipped, 1 verified, 2 given up"))))),
    Window("weights", 0x1000000, 0x1000000, 4, "Adapter weights, in the order of the layout.", (
        Register("WEIGHT", 0x0, "rw", "An element.", whole("the code, sign-extended")),)),
    Window("states", 0x2000000, 0x1000000, 8, "Optimiser state, in the order of the weights. Write the low word, then "
           "the high one, which stores both; read the low word, which holds the high one for the next read.", (
        Register("STATE_LOW", 0x0, "rw", "An element, bits 31..0.", whole("low word")),
        Register("STATE_HIGH", 0x4, "rw", "An element, bits 63..32.", whole("high word, sign-extended")))),
    Window("calibration", 0x3000000, 0x1000000, 16, "Gain and offset of each output: y = saturate(round_shift((c - "
           "offset) * gain, w) + ...). The offset is written and read low word first, as a state.", (
        Register("GAIN", 0x0, "rw", "An output's gain.", whole("the code, sign-extended")),
        Register("OFFSET_LOW", 0x8, "rw", "Its offset, bits 31..0.", whole("low word")),
        Register("OFFSET_HIGH", 0xC, "rw", "Its offset, bits 63..32.", whole("high word, sign-extended")))),
)

# field of an operation: the register and the field it is written in
OPERATION = {
    "kind": ("OP_CONTROL", "kind"), "crossbar": ("OP_CONTROL", "crossbar"), "nearest": ("OP_CONTROL", "nearest"),
    "high": ("OP_CONTROL", "high"),
    "vectors": ("OP_VECTORS", "value"), "inputs": ("OP_INPUTS", "value"), "outputs": ("OP_OUTPUTS", "value"),
    "rank": ("OP_RANK", "value"), "adapter": ("OP_ADAPTER", "value"), "calibration": ("OP_CALIBRATION", "value"),
    "tile": ("OP_TILE", "value"), "active": ("OP_ACTIVE", "value"), "trainable": ("OP_TRAINABLE", "value"),
    "p": ("OP_FORWARD_SHIFTS", "p"), "u": ("OP_FORWARD_SHIFTS", "u"), "w": ("OP_FORWARD_SHIFTS", "w"),
    "q": ("OP_BACKWARD_SHIFTS", "q"), "dx": ("OP_BACKWARD_SHIFTS", "dx"), "va": ("OP_BACKWARD_SHIFTS", "va"),
    "vb": ("OP_BACKWARD_SHIFTS", "vb"), "lra": ("OP_UPDATE_SHIFTS", "lra"), "lrb": ("OP_UPDATE_SHIFTS", "lrb"),
    "momentum": ("OP_UPDATE_SHIFTS", "momentum"), "target": ("OP_TARGET", "value"), "slots": ("OP_SLOTS", "count"),
    **{name: ("OP_PAGE", name) for name in ("region", "opens", "closes")},
    **{f"{way}_{part}": (f"OP_{way.upper()}", part) for way in ("leaves", "enters")
       for part in ("words", "weights", "states")},
    **{f"slot_{index}": ("OP_SLOTS", f"slot_{index}") for index in range(SUMMED)},
}


def constant_words(configuration):
    """``{register name: word}`` of the registers that tell the configuration apart."""
    lanes, geometry = configuration.lora, configuration.geometry
    fields = {
        "IDENTITY": {}, "VERSION": {},
        "LANES": {"lanes": lanes.lanes, "rows": lanes.rows, "vectors": lanes.vectors, "max_rank": geometry.max_rank},
        "MULTIPLIERS": {"value": lanes.multipliers},
        "LIMITS": {"max_inputs": geometry.max_inputs, "max_outputs": geometry.max_outputs},
        "SIZES": {"sram_words": configuration.sram.words - 1, "chunk": lanes.chunk - 1},
    }
    return {name: register(name).pack(**values) for name, values in fields.items()}


def reset_values(configuration):
    """``{register name: {field: value}}`` of storage that wakes up as the configuration says."""
    return {"TIMEOUT": {"value": configuration.clock.timeout_clocks}}


def window(name):
    """One window of the table, by name."""
    for entry in WINDOWS:
        if entry.name == name:
            return entry
    raise RefusedValue(f"window must be one of {', '.join(entry.name for entry in WINDOWS)}, not {name!r}")


def register(name):
    """One register of the table, by name."""
    for entry in REGISTERS:
        if entry.name == name:
            return entry
    raise RefusedValue(f"register must be one of the table's, not {name!r}")
