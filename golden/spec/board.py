"""The default board at its pins, as data: parts, counts, wiring, and the times the sequencer keeps.

Counts follow from the tile: a DAC channel a row, a transimpedance stage a column, ``positions`` columns an ADC. All
times are in ticks of the 100 MHz clock (10 ns). Facts about parts: SN74HC595 SCLS041, CD4051B SCHS047, DAC80508
SLASEL1, OPA4322 SBOS538, ADS8324 SBAS172.
"""

import dataclasses

from .crossbar import need_real
from .refusal import RefusedValue, need_integer

__all__ = ["Board"]


@dataclasses.dataclass(frozen=True)
class Board:
    """Times in ticks, and how many arrays a board selects among. Default values keep every data sheet's limit.

    ``array_bits`` is 0, or 16: two more HC595 at the far end of the WL chain (shifted first) that select the array.

    How the stages of the columns err, for models of the board alone (cosim/stages.py): ``feedback_ohm``, mean on-
    resistance of the SL switches, which adds to Rf (CD4051B: 180 typical), ``feedback_spread_ohm``, its standard
    deviation from column to column (5: SCHS047's 10 ohm between channels at 10 V), ``offset_codes``, that of stage and
    ADC together, in codes (13: OPA4322, 0.5 mV at a noise gain of 3.9). All 0 by default: a board without errors.
    """

    array_bits: int = 0
    positions: int = 4              # columns that share an ADC; the ADC switch has them on channels 0..3
    dac_wake_ticks: int = 25_000    # 250 us after power-up or soft reset
    dac_half_ticks: int = 2         # SCLK 25 MHz writing
    dac_read_half_ticks: int = 10   # SCLK 5 MHz reading back (12 MHz at most at VIO 2.5 V)
    dac_lead_ticks: int = 4         # CS fall to the first SCLK
    dac_trail_ticks: int = 2        # last SCLK fall to CS rise
    dac_high_ticks: int = 3         # CS high between frames
    dac_settle_ticks: int = 1000    # 10 us; 5 us typical
    tia_settle_ticks: int = 200     # stage and RC after a switch or a DAC has settled
    shift_half_ticks: int = 5       # HC595 SRCLK 10 MHz at 5 V
    latch_ticks: int = 10           # last SRCLK rise to RCLK, and RCLK's width
    clear_ticks: int = 20           # SRCLR low; then 10 before the first SRCLK
    inhibit_ticks: int = 50         # CD4051B: INH high before a change
    connect_ticks: int = 80         # CD4051B: INH low to the signal through
    adc_half_ticks: int = 42        # DCLOCK 1.19 MHz, 24 a conversion
    adc_clocks: int = 22            # with CS low
    adc_idle_clocks: int = 2        # with CS high
    adc_hold_clocks: int = 5        # DCLOCK falls from CS fall until the input is held
    adc_guard_ticks: int = 10       # from the hold until anything before the ADC may change
    start_settle_ticks: int = 1000  # after the first TRIGGER, before the first READ
    line_settle_ticks: int = 1000   # BL and SL before a programming pulse: 10 us
    shortest_pulse_ticks: int = 200     # 2 us: a pulse by INH has edges of 0.45 to 0.72 us
    analyser_ticks: int = 1_000_000     # the analyser's answer to a trigger: 10 ms at most
    feedback_ohm: float = 0.0
    feedback_spread_ohm: float = 0.0
    offset_codes: float = 0.0
    wl_read_code: int = 43254       # V_WL_RD: 3.3 V of 5 V, well above VCM and a threshold [general knowledge]

    def __post_init__(self):
        if self.array_bits not in (0, 16):
            raise RefusedValue(f"board.array_bits must be 0 or 16, not {self.array_bits}")
        need_integer("board.positions", self.positions, 1, 4)
        # a synchroniser of two clocks stands between the data lines and the clock that takes them; 22 DCLOCKs bring the
        # sample, 14 bits and the framing zeros
        lowest = {"adc_half_ticks": 3, "dac_read_half_ticks": 3, "adc_clocks": 22}
        errors = {"feedback_ohm": 1000.0, "feedback_spread_ohm": 1000.0, "offset_codes": 8192.0}
        for name, most in errors.items():
            need_real(f"board.{name}", getattr(self, name), 0.0, most)
        for field in dataclasses.fields(self):
            if field.name not in ("array_bits", "positions", *errors):
                need_integer(f"board.{field.name}", getattr(self, field.name), lowest.get(field.name, 1), 1 << 20)
        if self.shortest_pulse_ticks < self.connect_ticks + 2:
            raise RefusedValue(f"board.shortest_pulse_ticks must be at least connect_ticks + 2 "
                               f"({self.connect_ticks + 2}), not {self.shortest_pulse_ticks}")
        need_integer("board.wl_read_code", self.wl_read_code, 1, 0xFFFF)
        if self.hold_ticks > 2 * self.adc_half_ticks * self.adc_clocks:
            raise RefusedValue("board.adc_guard_ticks must end before CS rises, "
                               f"not {self.hold_ticks} ticks after its fall")

    @property
    def conversion_ticks(self):
        """One conversion, CS fall to the next CS fall: 2,016."""
        return 2 * self.adc_half_ticks * (self.adc_clocks + self.adc_idle_clocks)

    @property
    def hold_ticks(self):
        """CS fall until switches, lines and voltages may change under a conversion: 430."""
        return 2 * self.adc_half_ticks * self.adc_hold_clocks + self.adc_guard_ticks

    @property
    def update_ticks(self):
        """CS fall of a DAC frame to its CS rise, where a TRIGGER takes effect: 102."""
        return self.frame_ticks - self.dac_high_ticks

    @property
    def frame_ticks(self):
        """One DAC frame of 24 bits, CS high included: 105."""
        return self.dac_lead_ticks + 24 * 2 * self.dac_half_ticks + self.dac_trail_ticks + self.dac_high_ticks

    def dacs(self, tile_rows):
        """DAC80508 that drive rows; one more gives the supplies."""
        return -(-tile_rows // 8)

    def adcs(self, tile_columns):
        """ADS8324: a column in ``positions``."""
        return -(-tile_columns // self.positions)

    def chain_parts(self, lines):
        """SN74HC595 in a chain of ``lines`` lines."""
        return -(-lines // 8)

    def check(self, geometry, crossbar):
        """Refuse what this board cannot be built for."""
        for key in ("tile_rows", "tile_columns"):
            if getattr(geometry, key) % 8:
                raise RefusedValue(f"geometry.{key} must be a multiple of 8, the lines of an SN74HC595, "
                                   f"not {getattr(geometry, key)}")
        if geometry.tile_columns % self.positions:
            raise RefusedValue(f"geometry.tile_columns must be a multiple of board.positions ({self.positions}), "
                               f"not {geometry.tile_columns}")
        if crossbar.arrays > 1 << self.array_bits:
            raise RefusedValue(f"crossbar.arrays must be at most {1 << self.array_bits} with "
                               f"board.array_bits = {self.array_bits}, not {crossbar.arrays}")
