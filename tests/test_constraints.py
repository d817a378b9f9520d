"""The committed pin constraints against the board's pins."""

import pathlib
import re

from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.hdl.pins import BoardPins

XDC = pathlib.Path(__file__).parents[1] / "constraints" / "zc706.xdc"


def constrained():
    """``{port bit: package pin}`` of the constraints file."""
    return {port: pin for pin, port in re.findall(r"PACKAGE_PIN (\w+) .*?get_ports {(.+?)}", XDC.read_text())}


def test_every_pin_of_the_default_board_has_one_package_pin_and_no_other_has():
    bits = set()
    for name, member in BoardPins(load_configuration("default")).members.items():
        width = member.shape if isinstance(member.shape, int) else len(member.shape)
        vector = width > 1
        bits |= {f"{name}[{bit}]" for bit in range(width)} if vector else {name}
    pins = constrained()
    assert set(pins) == bits
    assert len(set(pins.values())) == len(pins) == 48
