"""The board's signals as the chip drives them, and what every one of them is at reset.

Names are those of the board's constraint file, buses as vectors; counts follow from the configuration. The values at
power-up are the safe ones: every switch inhibited, no part selected, register outputs and translators off. A reset
brings them back, except for the switches' addresses, which stay while the switches open, and what holds them: register
outputs and translators stay on.
"""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["CHAINS", "SWITCHES", "BoardPins"]

CHAINS = ("wl", "bl", "sl")     # word lines (gates), bit lines (rows), source lines (columns)
SWITCHES = (*CHAINS, "adc")     # groups of CD4051B that share A, B and INH


class BoardPins(wiring.Signature):
    """Every pin of the board, seen from the chip: 48 with the default configuration.

    Outputs come straight from flip-flops. Inputs are asynchronous: whoever reads one synchronises it.

    Parameters
    ----------
    configuration : `rmdlora.golden.spec.configuration.Configuration`

    Members
    -------
    adc_dclock, adc_cs_n, adc_dout : ADS8324, one data line a part, clock and select common
    dac_sclk, dac_sdi, dac_sdo, dac_cs_n : DAC80508; ``dac_cs_n`` has a bit a part, the last is the supplies'
    {wl,bl,sl}_{ser,srclk,rclk,oe_n,srclr_n} : a chain of SN74HC595 for the switches of the lines
    {wl,bl,sl,adc}_mux_{a,b,inh} : CD4051B, the address bits and the inhibit that a group shares
    b1500_trig_out, b1500_trig_in : to and from the parameter analyser
    xlat_oe_n : the 2.5 V to 5 V translators
    """

    def __init__(self, configuration):
        geometry, board = configuration.geometry, configuration.board
        adcs, dacs = board.adcs(geometry.tile_columns), board.dacs(geometry.tile_rows) + 1
        members = {
            "adc_dclock": Out(1), "adc_cs_n": Out(1, init=1), "adc_dout": In(adcs),
            "dac_sclk": Out(1), "dac_sdi": Out(1), "dac_sdo": In(1), "dac_cs_n": Out(dacs, init=(1 << dacs) - 1),
        }
        for line in CHAINS:
            members |= {f"{line}_ser": Out(1), f"{line}_srclk": Out(1), f"{line}_rclk": Out(1),
                        f"{line}_oe_n": Out(1, init=1), f"{line}_srclr_n": Out(1)}
        for group in SWITCHES:
            members |= {f"{group}_mux_a": Out(1), f"{group}_mux_b": Out(1), f"{group}_mux_inh": Out(1, init=1)}
        super().__init__(members | {"b1500_trig_out": Out(1), "b1500_trig_in": In(1), "xlat_oe_n": Out(1, init=1)})
        self._configuration = configuration

    @property
    def count(self):
        """How many pins of the chip that takes."""
        return sum(len(member.shape) if hasattr(member.shape, "__len__") else member.shape
                   for member in self.members.values())

    def __eq__(self, other):
        return isinstance(other, BoardPins) and self._configuration == other._configuration

    def __repr__(self):
        return f"BoardPins({self._configuration.name})"
