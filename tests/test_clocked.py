# amaranth: UnusedElaboratable=no
"""Registers in the generated Verilog: one block for those of a module, and nothing computed for one that stands."""

import re

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rmdlora.gen.clocked import clocked
from rmdlora.gen.verilog import convert


class Sums(wiring.Component):
    """A register that moves with ``go``, another that always does, and logic for one, for both, for an output too."""

    def __init__(self):
        super().__init__({"go": In(1), "again": In(1), "a": In(8), "b": In(8), "total": Out(16), "parity": Out(8),
                          "clocks": Out(8), "seen": Out(8)})

    def elaborate(self, platform):
        m = Module()
        product = Signal(16)
        m.d.comb += [product.eq(self.a * self.b), self.parity.eq(self.a ^ self.b)]
        m.d.sync += self.clocks.eq(self.clocks + 1)
        with m.If(self.go):
            m.d.sync += [self.total.eq(self.total + product), self.seen.eq(self.parity | self.seen)]
        with m.If(self.again):
            m.d.sync += [self.total.eq(0), self.seen.eq(0)]
        return m


def test_what_only_a_condition_needs_is_computed_under_it_and_what_others_need_is_not():
    text = convert(Sums(), "sums")
    assert text.count("always @(posedge clk)") == 2 and "always @*" not in text
    under = re.search(r"^    if \(go\) begin\n((?:      .*\n)+?)    end\n", text, re.MULTILINE)[1]
    assert " * b;" in under and "total <=" in under and "seen <=" in under
    assert " * b;" not in text.replace(under, "")
    assert under.index(" * b;") < under.index("total <=")
    assert "a ^ b" not in under and "clocks <=" not in under
    assert re.search(r"    if \(rst \) begin\n(?:      .*\n){2}    end\n    else if \(again \) begin\n", text)
    assert len(re.findall(r"^ +total <= 16'(?:h0+|d0);$", text, re.MULTILINE)) == 2


class Chosen(wiring.Component):
    """One of several elements of a word."""

    def __init__(self, elements, bits):
        super().__init__({"word": In(data.ArrayLayout(bits, elements)), "place": In(range(elements)), "out": Out(bits)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.out.eq(self.word[self.place])
        return m


@pytest.mark.parametrize(("elements", "bits"), [(16, 32), (4, 28)])
def test_an_element_of_a_wide_word_is_a_part_of_it(elements, bits):
    text = convert(Chosen(elements, bits), "chosen")
    assert re.search(rf"assign \S+ = word \[\S+ +\+: {bits}\];", text) and ">>" not in text


@pytest.mark.parametrize(("elements", "bits"), [(12, 32), (4, 8)])
def test_an_element_that_may_lie_beyond_its_word_or_in_a_narrow_one_is_shifted_down(elements, bits):
    text = convert(Chosen(elements, bits), "chosen")
    assert "word >> " in text and "+:" not in text


LOOP = """module loop(clk, go, a, q);
  input clk;
  input go;
  input [1:0] a;
  output [1:0] q;
  reg [1:0] q;
  reg [1:0] \\$1 ;
  wire [2:0] w;
  wire unused;
  reg \\$auto$1  = 0;
  always @(posedge clk)
    q <= \\$1 ;
  assign unused = w[2];
  assign w[2] = w[1] & a[1];
  assign { w[1], w[0] } = { w[0] | a[0], go };
  always @* begin
    if (\\$auto$1 ) begin end
    \\$1  = q;
    if (go) begin
      \\$1  = w[2:1];
    end
  end
endmodule
"""


def test_logic_that_drives_a_name_from_its_own_other_bits_stays_as_it_is():
    text = clocked(LOOP)
    assert "  assign w[2] = w[1] & a[1];\n" in text and "  wire [2:0] w;\n" in text
    assert "      q <= w[2:1];\n" in text and "\\$1 " not in text


def test_a_next_value_that_is_used_elsewhere_keeps_its_block():
    shared = LOOP.replace("assign unused = w[2];", "assign unused = \\$1 [0];")
    assert clocked(shared) == shared


def test_a_text_without_registers_stays_as_it_is():
    text = "// heading\nmodule m(a, b);\n  input a;\n  output b;\n  assign b = ~ a;\nendmodule\n"
    assert clocked(text) == text
