"""The ZC706's side of the board: which package pin each signal has, and what bounds its timing.

The default board sits on the low-pin-count FMC connector (banks 10 and 12, VADJ 2.5 V). A board with other signals than
those has no place there, and a clock at which the board's ticks break a data sheet has no constraints that help.
"""

import dataclasses

from rmdlora.hdl.pins import BoardPins

from .files import render

__all__ = ["FREQUENCY_MOST_HZ", "PART", "PINS", "Pin", "board_ports", "unfit", "xdc_text"]

PART = "xc7z045ffg900-2"
FREQUENCY_MOST_HZ = 250_000_000     # of the processor's fabric clocks and AXI ports (DS191)
DAC_HOLD_NS = 10                    # SDI after the falling SCLK, the tightest of all (DAC80508, SLASEL1)
ROUTE_NS = 8                        # flip-flop to pin through a slow LVCMOS25 buffer, with room


@dataclasses.dataclass(frozen=True)
class Pin:
    """A bit of a port: its package pin, the pull that holds the board safe before the fabric is configured ("up",
    "down" or none), and its place on the connector."""

    port: str
    package: str
    pull: str
    connector: str
    pair: str


PINS = (
    Pin("adc_dclock", "AE13", "down", "G6", "LA00_CC_P"),
    Pin("adc_cs_n", "AF13", "up", "G7", "LA00_CC_N"),
    Pin("adc_dout[0]", "AE12", "up", "H7", "LA02_P"),
    Pin("adc_dout[1]", "AF12", "up", "H8", "LA02_N"),
    Pin("adc_dout[2]", "AG12", "up", "G9", "LA03_P"),
    Pin("adc_dout[3]", "AH12", "up", "G10", "LA03_N"),
    Pin("adc_dout[4]", "AJ15", "up", "H10", "LA04_P"),
    Pin("adc_dout[5]", "AK15", "up", "H11", "LA04_N"),
    Pin("adc_dout[6]", "AE16", "up", "D11", "LA05_P"),
    Pin("adc_dout[7]", "AE15", "up", "D12", "LA05_N"),
    Pin("dac_sclk", "AF15", "down", "D8", "LA01_CC_P"),
    Pin("dac_sdi", "AG15", "", "D9", "LA01_CC_N"),
    Pin("dac_sdo", "AB12", "", "C10", "LA06_P"),
    Pin("dac_cs_n[0]", "AC12", "up", "C11", "LA06_N"),
    Pin("dac_cs_n[1]", "AA15", "up", "H13", "LA07_P"),
    Pin("dac_cs_n[2]", "AA14", "up", "H14", "LA07_N"),
    Pin("dac_cs_n[3]", "AD14", "up", "G12", "LA08_P"),
    Pin("dac_cs_n[4]", "AC14", "up", "C14", "LA10_P"),
    Pin("b1500_trig_out", "AH14", "", "D14", "LA09_P"),
    Pin("b1500_trig_in", "AH13", "down", "D15", "LA09_N"),
    Pin("xlat_oe_n", "AD13", "up", "G13", "LA08_N"),
    Pin("wl_ser", "AB27", "", "D20", "LA17_CC_P"),
    Pin("wl_srclk", "AC27", "down", "D21", "LA17_CC_N"),
    Pin("wl_rclk", "AE27", "down", "C22", "LA18_CC_P"),
    Pin("wl_oe_n", "AF27", "up", "C23", "LA18_CC_N"),
    Pin("wl_srclr_n", "AH26", "down", "H22", "LA19_P"),
    Pin("bl_ser", "AH27", "", "H23", "LA19_N"),
    Pin("bl_srclk", "AG26", "down", "G21", "LA20_P"),
    Pin("bl_rclk", "AG27", "down", "G22", "LA20_N"),
    Pin("bl_oe_n", "AH28", "up", "H25", "LA21_P"),
    Pin("bl_srclr_n", "AH29", "down", "H26", "LA21_N"),
    Pin("sl_ser", "AK27", "", "G24", "LA22_P"),
    Pin("sl_srclk", "AK28", "down", "G25", "LA22_N"),
    Pin("sl_rclk", "AJ26", "down", "D23", "LA23_P"),
    Pin("sl_oe_n", "AK26", "up", "D24", "LA23_N"),
    Pin("sl_srclr_n", "AF30", "down", "H28", "LA24_P"),
    Pin("wl_mux_a", "AG30", "", "H29", "LA24_N"),
    Pin("wl_mux_b", "AF29", "", "G27", "LA25_P"),
    Pin("adc_mux_inh", "AG29", "up", "G28", "LA25_N"),
    Pin("wl_mux_inh", "AJ30", "up", "D26", "LA26_P"),
    Pin("bl_mux_a", "AK30", "", "D27", "LA26_N"),
    Pin("bl_mux_b", "AJ28", "", "C26", "LA27_P"),
    Pin("adc_mux_b", "AJ29", "", "C27", "LA27_N"),
    Pin("bl_mux_inh", "AD25", "up", "H31", "LA28_P"),
    Pin("sl_mux_a", "AE26", "", "H32", "LA28_N"),
    Pin("sl_mux_b", "AE25", "", "G30", "LA29_P"),
    Pin("adc_mux_a", "AF25", "", "G31", "LA29_N"),
    Pin("sl_mux_inh", "AB29", "up", "H34", "LA30_P"),
)


def board_ports(configuration):
    """``[(name, bits, whether the chip drives it)]`` of the board's signals."""
    ports = []
    for name, member in BoardPins(configuration).members.items():
        bits = len(member.shape) if hasattr(member.shape, "__len__") else member.shape
        ports.append((name, bits, member.flow.name == "Out"))
    return ports


def skew_ns(configuration):
    """How far apart two outputs may be: what the DAC's data has left of half an SCLK after its hold time."""
    return configuration.board.dac_half_ticks * configuration.clock.tick_ns - DAC_HOLD_NS


def unfit(configuration):
    """Why a configuration cannot sit on the ZC706, or None."""
    bits = {f"{name}[{bit}]" if width > 1 else name
            for name, width, _ in board_ports(configuration) for bit in range(width)}
    if bits != {pin.port for pin in PINS}:
        return f"its board has {len(bits)} signals, the ZC706's connector is wired for the default board's {len(PINS)}"
    if configuration.clock.frequency_hz > FREQUENCY_MOST_HZ:
        return f"a Zynq's AXI ports take {FREQUENCY_MOST_HZ // 10**6} MHz at most"
    if skew_ns(configuration) < ROUTE_NS:
        return (f"board.dac_half_ticks leaves {skew_ns(configuration):g} ns of skew between the DACs' SCLK and SDI at "
                f"this clock, and {ROUTE_NS} are needed")
    return None


def xdc_text(configuration):
    """Pins, standards and timing of the board's signals."""
    driven = {name: out for name, _, out in board_ports(configuration)}
    return render("zc706.xdc.j2", configuration, "#", pins=PINS, part=PART, skew_ns=skew_ns(configuration),
                  drives=lambda port: driven[port.partition("[")[0]], hold_ns=DAC_HOLD_NS,
                  outputs=[f"{name}[*]" if bits > 1 else name for name, bits, out in board_ports(configuration) if out],
                  inputs=[f"{name}[*]" if bits > 1 else name
                          for name, bits, out in board_ports(configuration) if not out])
