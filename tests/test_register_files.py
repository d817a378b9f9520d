"""The register table as files: a compiler, a schema and a reader find in each what the table says."""

import html.parser
import importlib.util
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from rmdlora.cosim.native import NativeLane
from rmdlora.gen.registers import header_text, html_text, markdown_text, reset_words, svd_text
from rmdlora.gen.zynq import CHIP_ADDRESS
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.registers import REGISTERS, WINDOWS, Fault, Kind

CONFIGURATIONS = [load_configuration(name) for name in ("default", "tiny", "speaker")]
ROW = re.compile(r"^\| (\d+)(?:\.\.(\d+))? \| `(\w+)` \| (\d+) \| (.+) \|$", re.MULTILINE)    # of a field
EVERY = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda configuration: configuration.name)


def expected_macros(configuration):
    """``{macro: value}`` that the table promises."""
    words = reset_words(configuration)
    macros = {f"RMDLORA_{entry.name}_RESET": words[entry.name] for entry in REGISTERS}
    macros |= {f"RMDLORA_{entry.name}_COUNT": entry.count for entry in REGISTERS if entry.count > 1}
    macros |= {f"RMDLORA_{entry.name}_AT({entry.count - 1})": entry.address + 4 * entry.count - 4
               for entry in REGISTERS if entry.count > 1}
    described = [(f"RMDLORA_{entry.name}", entry) for entry in REGISTERS]
    for place in WINDOWS:
        name = f"RMDLORA_WINDOW_{place.name.upper()}"
        macros |= {name: place.address, f"{name}_STRIDE": place.stride}
        described += [(f"{name}_{word.name}", word) for word in place.words]
    for name, entry in described:
        macros[name] = entry.address
        for field in entry.fields:
            macros[f"{name}_{field.name.upper()}_LOW"] = field.low
            macros[f"{name}_{field.name.upper()}_MASK"] = ((1 << field.bits) - 1) * 2**field.low
    macros |= {f"RMDLORA_KIND_IS_{name}": getattr(Kind, name) for name, _ in Kind.MEANINGS}
    macros |= {f"RMDLORA_FAULT_IS_{name}": code for code, (name, _) in enumerate(Fault.MEANINGS)}
    unit = configuration.lora
    return macros | {"RMDLORA_CLOCK_HZ": configuration.clock.frequency_hz, "RMDLORA_UNIT_LANES": unit.lanes,
                     "RMDLORA_WINDOW_WEIGHTS_ELEMENTS": configuration.sram.words * unit.lanes * unit.rows,
                     "RMDLORA_GET(0xFFFFFFFFu, RMDLORA_LANES_MAX_RANK)": 255,
                     "RMDLORA_GET(RMDLORA_LANES_RESET, RMDLORA_LANES_ROWS)": unit.rows,
                     "RMDLORA_PUT(RMDLORA_OP_SLOTS_SLOT_1, 3)": 3 << 13,
                     "RMDLORA_PUT(RMDLORA_OP_CONTROL_KIND, 9)": 1}


@pytest.mark.parametrize("compiler", [("gcc", "-x", "c", "-std=c99"), ("g++", "-x", "c++", "-std=c++11")],
                         ids=lambda compiler: compiler[0])
@EVERY
def test_a_compiler_finds_every_macro_of_the_header_with_the_value_of_the_table(configuration, compiler, tmp_path):
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not installed")
    macros = expected_macros(configuration)
    (tmp_path / "rmdlora_registers.h").write_text(header_text(configuration), encoding="utf-8")
    lines = "".join(f'  printf("%lu\\n", (unsigned long)({macro}));\n' for macro in macros)
    program = f'#include "rmdlora_registers.h"\n#include <stdio.h>\nint main(void) {{\n{lines}  return 0;\n}}\n'
    (tmp_path / "show.c").write_text(program, encoding="utf-8")
    subprocess.run([*compiler, "-pedantic", "-Wall", "-Wextra", "-Werror", "-O0", "-o", "show", "show.c"], cwd=tmp_path,
                   check=True)
    shown = subprocess.run([tmp_path / "show"], check=True, capture_output=True, text=True).stdout.split()
    assert dict(zip(macros, map(int, shown), strict=True)) == macros


def test_after_a_reset_the_chip_reads_what_the_files_say_it_does():
    configuration = load_configuration("tiny")
    lane, expected = NativeLane(configuration), reset_words(configuration)
    counting = {"CYCLES", "CYCLES_HIGH", "STATUS", "FRAMES"}   # a clock runs, and a board starts
    entries = [entry for entry in REGISTERS if entry.name not in counting]
    assert {entry.name: lane.read(entry.address) for entry in entries} == {e.name: expected[e.name] for e in entries}


def number(element, tag):
    """A child's number, decimal or hexadecimal."""
    return int(element.findtext(tag), 0)


@EVERY
def test_the_svd_file_has_every_register_and_field_where_the_table_has_them(configuration):
    device = ElementTree.fromstring(svd_text(configuration).encode())
    peripherals = {found.findtext("name"): found for found in device.iter("peripheral")}
    assert list(peripherals) == ["REGISTERS", *(place.name.upper() for place in WINDOWS)]
    words = reset_words(configuration)
    groups = [(peripherals["REGISTERS"], CHIP_ADDRESS, REGISTERS)]
    groups += [(peripherals[place.name.upper()], CHIP_ADDRESS + place.address, place.words) for place in WINDOWS]
    for peripheral, base, entries in groups:
        assert number(peripheral, "baseAddress") == base
        for entry, found in zip(entries, peripheral.iter("register"), strict=True):
            assert found.findtext("name").removesuffix("[%s]") == entry.name
            assert number(found, "addressOffset") == entry.address
            assert number(found, "resetValue") == words.get(entry.name, 0)
            assert int(found.findtext("dim", "1")) == entry.count
            assert {(field.findtext("name"), number(field, "bitOffset"), number(field, "bitWidth"))
                    for field in found.iter("field")} == {(f.name.upper(), f.low, f.bits) for f in entry.fields}
            assert (found.find("modifiedWriteValues") is not None) == (entry.access == "w1c")
    held = {found.findtext("name") for found in device.iter("register") if found.find("readAction") is not None}
    assert held == {"CYCLES_FORWARD", "CYCLES_BACKWARD", "CYCLES_UPDATE", "CYCLES", "STATE_LOW", "OFFSET_LOW"}


@pytest.mark.skipif(importlib.util.find_spec("cmsis_svd") is None or importlib.util.find_spec("lxml") is None,
                    reason="cmsis-svd, which brings ARM's schema, is not installed (pip install '.[test]')")
@EVERY
def test_the_svd_file_obeys_arms_schema(configuration):
    from lxml import etree

    schemas = pathlib.Path(importlib.util.find_spec("cmsis_svd").origin).parent / "schemas"
    schema = etree.XMLSchema(etree.parse(schemas / "CMSIS-SVD_1_3_11.xsd"))
    document = etree.fromstring(svd_text(configuration).encode())
    assert schema.validate(document), schema.error_log
    document.find(".//bitWidth").text = "wide"
    assert not schema.validate(document)


@EVERY
def test_the_manual_shows_every_register_field_and_code(configuration):
    manual = markdown_text(configuration)
    sections = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", manual, re.MULTILINE | re.DOTALL))
    assert list(sections) == [*(entry.name for entry in REGISTERS), *(f"Window {place.name}" for place in WINDOWS)]
    for entry in REGISTERS:
        rows = ROW.findall(sections[entry.name])
        reset = entry.unpack(reset_words(configuration)[entry.name])
        assert {(int(high), int(low or high), name, int(word), text) for high, low, name, word, text in rows} == {
            (f.low + f.bits - 1, f.low, f.name, reset[f.name], f.text) for f in entry.fields}
    for name, meaning in (*Kind.MEANINGS, *Fault.MEANINGS):
        assert f"| {name} | {meaning} |" in manual


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and gathers ids, links and text."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag not in ("meta", "col", "br"):
            self.open.append(tag)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs[key] for key in ("href", "src") if key in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@EVERY
def test_the_page_is_whole_and_needs_nothing_else(configuration):
    page = Page()
    page.feed(html_text(configuration))
    assert page.open == []
    assert set(page.links) == {f"#{name}" for name in page.ids}
    assert page.ids == [*(entry.name.lower() for entry in REGISTERS), *(f"window-{place.name}" for place in WINDOWS)]
    text = " ".join(page.text)
    for entry in REGISTERS:
        assert entry.text in text and all(field.text in text for field in entry.fields)
