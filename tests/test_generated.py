"""Generated text out of the build cache."""

import pytest
from rmdlora.cosim import generated
from rmdlora.gen import verilog
from rmdlora.golden.spec.configuration import load_configuration


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RMDLORA_CACHE", str(tmp_path))
    generated.generated.cache_clear()
    yield
    generated.generated.cache_clear()


def test_a_chips_text_and_interface_are_the_generators_and_are_written_once(monkeypatch):
    tiny = load_configuration("tiny")
    assert generated.verilog_text(tiny) == verilog.verilog_text(tiny)
    described = generated.interface(tiny)
    assert described["ports"] == verilog.interface(tiny)["ports"] and described["streams"]
    monkeypatch.setattr(verilog, "write_verilog", None)     # whoever called it now would fail
    generated.generated.cache_clear()
    assert generated.verilog_text(tiny) == verilog.verilog_text(tiny)
