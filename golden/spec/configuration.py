"""One configuration of the whole product: a TOML file or a name, checked key by key.

A file holds any of the tables below; what it leaves out comes from the configuration it names as ``base`` (default
``"default"``). Anything unknown, of the wrong type or impossible is refused in one line that names key, rule, value.
"""

import dataclasses
import pathlib
import tomllib

from .board import Board
from .crossbar import Crossbar, Device
from .formats import PAGE_STREAMS, STREAMS, Formats, count_bits
from .geometry import Geometry, Lanes, ceil_div
from .refusal import RefusedType, RefusedValue, need_integer
from .timing import Pipeline

__all__ = ["Clock", "Configuration", "Sram", "load_configuration", "named_configurations"]

PORTS = ("dual", "single")
NAMED = pathlib.Path(__file__).parent / "named"


@dataclasses.dataclass(frozen=True)
class Sram:
    """The buffer: ``words`` row words of adapter weights, as many of optimiser state, and the calibration memory.

    ``ports`` of the memories: "dual" (block RAM: a read and a write a clock) or "single" (either, as an ASIC library
    may have no others), of the buffer and of the LoRA unit. ``secded``: a flipped bit of a stored code is corrected,
    two are reported; a scrubber looks at a row word of each memory every ``scrub_clocks`` clocks, or as soon as it can.
    """

    words: int = 8192
    ports: str = "dual"
    secded: bool = False
    scrub_clocks: int = 64

    def __post_init__(self):
        need_integer("sram.words", self.words, 2, 1 << 20)
        if self.ports not in PORTS:
            raise RefusedValue(f"sram.ports must be {' or '.join(PORTS)}, not {self.ports!r}")
        if not isinstance(self.secded, bool):
            raise RefusedType(f"sram.secded must be true or false, not {self.secded!r}")
        need_integer("sram.scrub_clocks", self.scrub_clocks, 1, 1 << 24)

    @property
    def single_port(self):
        """Whether a memory does one thing a clock."""
        return self.ports == "single"


@dataclasses.dataclass(frozen=True)
class Clock:
    """The one clock of the design.

    ``timeout_clocks``: what register TIMEOUT holds after reset, the clocks an operation may wait for a stream's peer;
    10 s by default, since a host may be slow, but not that slow. 0 waits for ever.
    """

    frequency_hz: int = 100_000_000
    timeout_clocks: int = 1_000_000_000

    def __post_init__(self):
        need_integer("clock.frequency_hz", self.frequency_hz, 1_000_000, 500_000_000)
        need_integer("clock.timeout_clocks", self.timeout_clocks, 0, (1 << 32) - 1)

    @property
    def tick_ns(self):
        """One clock period in ns."""
        return 1e9 / self.frequency_hz


@dataclasses.dataclass(frozen=True)
class Configuration:
    """Everything a generator, a co-simulation or the oracle needs to know. Frozen, hashable, compared by value."""

    name: str = "default"
    geometry: Geometry = dataclasses.field(default_factory=Geometry)
    formats: Formats = dataclasses.field(default_factory=Formats)
    lora: Lanes = dataclasses.field(default_factory=Lanes)
    sram: Sram = dataclasses.field(default_factory=Sram)
    crossbar: Crossbar = dataclasses.field(default_factory=Crossbar)
    board: Board = dataclasses.field(default_factory=Board)
    device: Device = dataclasses.field(default_factory=Device)
    clock: Clock = dataclasses.field(default_factory=Clock)

    def __post_init__(self):
        least = 2 * self.lora.rank_groups(self.geometry.max_rank)
        if self.paged and (self.sram.words < least or self.sram.words % 2):
            raise RefusedValue(f"sram.words must be even and at least {least}, two pages of a rank's row words, or "
                               f"{self.largest_layer} for the largest layer of the geometry, not {self.sram.words}")
        if self.lora.chunk % self.lora.vectors:
            raise RefusedValue(f"lora.chunk must be a multiple of lora.vectors ({self.lora.vectors}), "
                               f"not {self.lora.chunk}")
        self.board.check(self.geometry, self.crossbar)
        if self.crossbar.streamed:
            self.crossbar.check_planes(self.formats.activation)
            self.check_sums()

    def check_sums(self):
        """Refuse a ``formats.sum`` in which the crossbar sums of the largest layer could wrap."""
        if self.sum_bits > self.formats.sum:
            planes = f", {len(self.passes)} planes" if self.passes else ""
            raise RefusedValue(f"formats.sum must be at least {self.sum_bits}, for {self.geometry.max_inputs} inputs "
                               f"in tiles of {self.geometry.tile_rows} rows{planes}, not {self.formats.sum}")

    @property
    def sum_bits(self):
        """Bits of an exact crossbar sum of the largest layer: differences of codes, weighted by their planes."""
        worth = sum(abs(plane.weight) for plane in self.passes) or 1
        return self.crossbar.adc_bits + 1 + count_bits(worth * self.row_tiles(self.geometry.max_inputs))

    @property
    def passes(self):
        """The passes of a tile read (`Crossbar.passes`); none for a voltage read, which is one by itself."""
        return self.crossbar.passes(self.formats.activation)

    @property
    def amplitude(self):
        """Full read amplitude about VCM, in DAC codes: of a verify, and of every plane of a streamed read."""
        return self.crossbar.step << self.formats.activation - 1

    @property
    def unit_volt(self):
        """DAC codes that a unit of an activation is worth in ``c``."""
        return self.amplitude if self.crossbar.streamed else self.crossbar.step

    def check_activations(self, x):
        """Refuse a smallest or largest activation code in ``x`` (two integers) that a streamed read cannot present."""
        low, high = self.crossbar.range_of(self.formats.activation)
        for code in x if self.passes else ():
            if not low <= code <= high:
                raise RefusedValue(f"x must be {low}..{high} for a read in {len(self.passes)} planes "
                                   f"({self.crossbar.plane_sign}), not {code}")

    @property
    def largest_layer(self):
        """Row words of the largest layer of the geometry."""
        return self.lora.layout(self.geometry.max_inputs, self.geometry.max_outputs, self.geometry.max_rank).words

    @property
    def paged(self):
        """Whether the largest layer is larger than the buffer, so that layers may run in turns (`pages`)."""
        return self.largest_layer > self.sram.words

    @property
    def page_words(self):
        """Row words of a page of a paged buffer."""
        return self.sram.words // 2

    @property
    def streams(self):
        """``{AXI4-Stream: what the codes on it are}`` of the chip, as in `formats.STREAMS`."""
        return {**STREAMS, **(PAGE_STREAMS if self.paged else {})}

    @property
    def pipeline(self):
        """Latencies and cycle counts of the LoRA unit."""
        return Pipeline(self.lora, self.sram.single_port, self.sram.secded, self.sram.words)

    @property
    def calibration_words(self):
        """Row words of the calibration memory: gain and offset of every output of the largest layers resident."""
        return max(2, self.crossbar.calibrated_outputs // self.lora.rows)

    @property
    def tile_outputs(self):
        """Outputs a tile yields: half its columns with differential pairs, all but one with a reference column."""
        if self.crossbar.mapping == "differential":
            return self.geometry.tile_columns // 2
        return self.geometry.tile_columns - 1

    def row_tiles(self, inputs):
        """Tiles along the inputs of a layer."""
        return ceil_div(inputs, self.geometry.tile_rows)

    def column_tiles(self, outputs):
        """Tiles along the outputs of a layer."""
        return ceil_div(outputs, self.tile_outputs)


SECTIONS = {field.name: field.type for field in dataclasses.fields(Configuration) if field.name != "name"}


def named_configurations():
    """Names of the configurations in the package, sorted."""
    return sorted(path.stem for path in NAMED.glob("*.toml"))


def load_configuration(name_or_path):
    """The `Configuration` of a TOML file, or of a named one.

    Raises a `Refusal` for a file that is missing, is not TOML, or breaks a rule.
    """
    text = str(name_or_path)
    if text in named_configurations():
        path, name = NAMED / f"{text}.toml", text
    else:
        path, name = pathlib.Path(text), pathlib.Path(text).stem
        if not path.is_file():
            raise RefusedValue(f"configuration must be a TOML file or one of {', '.join(named_configurations())}, "
                               f"not {text!r}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as problem:
        raise RefusedValue(f"configuration {text!r} must be readable TOML: {problem}") from None
    return build_configuration(tables, name)


def build_configuration(tables, name):
    """The `Configuration` of parsed TOML ``tables`` (a dict), on top of the one they name as ``base``."""
    tables = dict(tables)
    base_name = tables.pop("base", None if name == "default" else "default")
    if base_name is None:
        base = Configuration()
    elif base_name in named_configurations() and base_name != name:
        base = load_configuration(base_name)
    else:
        raise RefusedValue(f"base must be one of {', '.join(named_configurations())}, not {base_name!r}")
    sections = {}
    for section, values in tables.items():
        if section not in SECTIONS:
            raise RefusedValue(f"{section} is not a table of a configuration: use one of {', '.join(SECTIONS)}")
        if not isinstance(values, dict):
            raise RefusedType(f"{section} must be a table, not {values!r}")
        fields = {field.name: field for field in dataclasses.fields(SECTIONS[section])}
        for key, value in values.items():
            if key not in fields:
                raise RefusedValue(f"{section}.{key} is not a key: use one of {', '.join(fields)}")
            check_kind(f"{section}.{key}", fields[key].type, value)
        sections[section] = dataclasses.replace(getattr(base, section), **{
            key: float(value) if fields[key].type is float else value for key, value in values.items()})
    return dataclasses.replace(base, name=name, **sections)


def check_kind(key, kind, value):
    """Refuse ``value`` unless it is of the declared ``kind`` (an integer may stand for a float)."""
    words = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise RefusedType(f"{key} must be {words[kind]}, not {value!r}")
