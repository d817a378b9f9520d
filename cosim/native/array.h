// The resistive-memory array behind the simulated board: what it answers when the ADCs hold, and the list of violations.
//
// Memory of the array belongs to numpy (cosim/array.py) and comes as pointers; cosim/board.py mirrors `rmd_config`.
// State is the process's: one board a shared library.
#ifndef RMD_ARRAY_H
#define RMD_ARRAY_H

#include <cstdint>

extern "C" {

struct rmd_config {
    int32_t *conductance;         // [arrays][rows][columns], in g_lsb
    uint32_t *events;             // [arrays]: reads so far; a read's event is the count before it
    const int32_t *normal_table;  // 512 entries (golden/spec/normal_table.py)
    int64_t floor[2];             // noise floor in units of the current sum: low range, high range
    int32_t arrays, rows, columns, adcs, positions;
    int32_t num[2], shift[2];     // code = saturate(round_shift(I * num, shift)): low range (VMM), high range (verify)
    int32_t adc_bits;
    int32_t read;                 // read noise of a cell in 1/65536 of its conductance
    uint32_t seed;
    int32_t read_limit;           // largest |V| in DAC codes that a read may put on a row
    // What a pulse does (golden/spec/pulses.py); without ``pulses`` one is a violation.
    uint32_t *pulses;             // [arrays][rows][columns]: pulses so far
    const int32_t *tables;        // [2][points][quantiles] measured changes of SET and RESET, or null
    int32_t points, pitch, quantiles;   // of the tables; pitch: g_lsb between two points
    int32_t threshold[2];         // SET, RESET; in codes of the supplies' DAC, as the next
    int32_t gate_threshold, gain, shift_pulse, spread, ceiling, endurance, narrowing;
    const int32_t *low, *high, *strength;   // [arrays][rows][columns], or null where all cells are alike
    const int32_t *stage_slope;   // [2][columns] low range, high range: what a stage adds, in 1/65536 of the current, ...
    const int64_t *stage_offset;  // [2][columns] ... and in units of the current sum; both null where none errs
};

// Takes a copy of ``config``; its pointers must stay valid. 0, or -1 where a field makes no sense (nothing changes).
int rmd_array_config(const rmd_config *config);

// Broken parts (cosim/faults.py, in the order of its table): ``index`` is a part's or a line's. What SV must know it asks
// with rmd_fault at power-up; the rest is applied where the array is read or pulsed.
enum rmd_fault_kind {
    RMD_DAC_SILENT, RMD_DAC_STRANGE, RMD_DAC_DEAD, RMD_ADC_HIGH, RMD_ADC_LOW, RMD_WL_OPEN, RMD_BL_OPEN, RMD_SL_OPEN,
    RMD_WL_CHAIN, RMD_BL_CHAIN, RMD_SL_CHAIN, RMD_STAGE_AT_RAIL, RMD_ADC_SWITCH, RMD_ANALYSER_SILENT
};
void rmd_fault_add(int32_t kind, int32_t index);
void rmd_fault_clear(void);
unsigned char rmd_fault(int kind, int index);

// Conversions since the last rmd_array_config.
int64_t rmd_array_conversions(void);

// Ticks of the holds since the last rmd_array_config, the first 2**20 of them: ``count`` from ``first`` on into ``ticks``; how
// many there were to give.
int64_t rmd_array_holds(int64_t first, int64_t count, int64_t *ticks);

// Codes of ``columns`` columns from ``first`` on for one read. ``volts``: [rows], in DAC codes; ``high``: [columns] of the
// tile, 1 where the column has its high gain range. Draws the noise of ``event``; counts nothing.
void rmd_array_codes(int32_t tile, uint32_t event, const int32_t *volts, const uint8_t *high, int32_t first,
                     int32_t columns, int16_t *codes);

// The ADCs' hold (called from board.sv). Vectors are packed, lowest bit first; ``lines`` is {connected, mode} of WL in bits
// 2..0, of BL in 5..3, of SL in 8..6, and whether the ADC switch is connected in bit 11.
//
// Row i is driven with V = 32768 - DAC code where BL is in READ and bl[i], else 0; its cells conduct where WL is in READ
// and wl[i]. sl[j] chooses the gain range of column j. ADC n converts column position * adcs + n. A read that cannot be
// (no array, no stage, no such position or tile) is a violation and gives the lowest code.
//
// A hold begins a new event of its tile unless its position was not yet converted in the present one and lines, bits
// and DAC codes are as they were then: all positions of one vector's read share an event.
void rmd_array_read(int rows, int columns, int adcs, int selected, int position, int lines, const uint32_t *wl,
                    const uint32_t *bl, const uint32_t *sl, const uint32_t *dac, uint32_t *codes, long long tick);

// A programming pulse has ended (called from board.sv). ``supplies``: codes of VP_BL, VP_SL, VP_WL, 16 bits each;
// ``ticks``: how long WL was on. ``bl`` and ``sl`` are the bits of their lines, both in SET (``resetting`` 0) or both in
// RESET; row i's gate is on where wl[i]. Every cell with its gate on and its SL connected moves as the model says and
// counts a pulse; more than one at a time is a violation.
void rmd_array_pulse(int rows, int columns, int selected, int resetting, const uint32_t *wl, const uint32_t *bl,
                     const uint32_t *sl, const uint64_t *supplies, int ticks, long long tick);

// One broken rule (called from the parts). ``tick``: board clocks since power-up.
void rmd_violation(const char *part, const char *rule, int limit, int measured, long long tick);

int64_t rmd_violation_count(void);

// Text of violation ``index`` (the first 256 are kept) into ``text`` of ``size`` bytes; its length, or -1 if there is none.
int rmd_violation_text(int64_t index, char *text, int size);

void rmd_violation_clear(void);

// The block of Philox4x32-10, and the normal number of standard deviation 2**16 made of it (golden/spec/noise.py).
void rmd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t block[4]);
int32_t rmd_normal(const uint32_t block[4]);
}

#endif
