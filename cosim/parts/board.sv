// The board at its pins: shift registers, switches, DACs, transimpedance stages, ADCs, and the array behind them.
//
// Simulation only. Ports are the chip's pins with their directions turned round; `rst` is the supplies: while high,
// every part is as at power-up. Everything runs on the chip's clock (10 ns). The array itself is C++ (rmd_array_read):
// it is asked once a conversion, when the ADCs hold, and its codes leave bit by bit through adc_dout.
//
// ROWS, COLUMNS: of a tile. DACS: parts that drive rows; one more gives the supplies. POSITIONS: columns that share
// an ADC. ARRAY_BITS: 0, or 16 bits at the far end of the WL chain that select the array.
module board #(
    parameter int ROWS = 32,
    parameter int COLUMNS = 32,
    parameter int DACS = 4,
    parameter int ADCS = 8,
    parameter int POSITIONS = 4,
    parameter int ARRAY_BITS = 0,
    parameter bit CHECKS = 1
) (
    input logic clk,
    input logic rst,
    input logic adc_dclock,
    input logic adc_cs_n,
    output logic [ADCS-1:0] adc_dout,
    input logic dac_sclk,
    input logic dac_sdi,
    output logic dac_sdo,
    input logic [DACS:0] dac_cs_n,
    input logic wl_ser, wl_srclk, wl_rclk, wl_oe_n, wl_srclr_n,
    input logic bl_ser, bl_srclk, bl_rclk, bl_oe_n, bl_srclr_n,
    input logic sl_ser, sl_srclk, sl_rclk, sl_oe_n, sl_srclr_n,
    input logic wl_mux_a, wl_mux_b, wl_mux_inh,
    input logic bl_mux_a, bl_mux_b, bl_mux_inh,
    input logic sl_mux_a, sl_mux_b, sl_mux_inh,
    input logic adc_mux_a, adc_mux_b, adc_mux_inh,
    input logic b1500_trig_out,
    output logic b1500_trig_in,
    input logic xlat_oe_n
);
  import board_checks::*;
  import "DPI-C" function void rmd_array_read(
    input int rows, input int columns, input int adcs, input int selected, input int position, input int lines,
    input bit [ROWS-1:0] wl, input bit [ROWS-1:0] bl, input bit [COLUMNS-1:0] sl, input bit [16*ROWS-1:0] dac,
    output bit [16*ADCS-1:0] codes, input longint tick);
  import "DPI-C" function void rmd_array_pulse(
    input int rows, input int columns, input int selected, input int resetting, input bit [ROWS-1:0] wl,
    input bit [ROWS-1:0] bl, input bit [COLUMNS-1:0] sl, input bit [47:0] supplies, input int ticks,
    input longint tick);

  import "DPI-C" function bit rmd_fault(input int kind, input int index);

  localparam int DAC_SILENT = 0, DAC_STRANGE = 1, ADC_HIGH = 3, ADC_LOW = 4, ANALYSER_SILENT = 13;  // as in array.h
  localparam int DAC_SETTLE = 1000;     // DAC80508 to 2 LSB: 10 us (5 us typical)
  localparam ticks_t START_SETTLE = 1000;  // first TRIGGER to the first READ: 10 us
  localparam int CONNECT = 72;          // CD4051B on: 720 ns
  localparam int STAGE_SETTLE = 200;    // OPA4322 to 14 bits at 40 kOhm, and the RC before the ADC: 2 us
  localparam int LINE_SETTLE = 1000;    // lines before a programming pulse: 10 us
  localparam int SHORTEST_PULSE = 200;  // a pulse by INH has edges of 0.45..0.72 us: 2 us
  localparam int ANALYSER_PULSE = 10;   // what the analyser puts on EXT_WL at a trigger: VP_WL's voltage for 100 ns
  localparam logic [15:0] MID = 16'h8000;
  typedef enum logic [1:0] {SAFE, READ, SET, RESET} mode_t;

  // The first clock of a simulation is a power-up too, for whoever keeps `rst` low.
  logic powered, off;
  logic [63:0] now;
  initial begin
    powered = 0;
    now = POWERED;
  end
  assign off = rst || !powered;
  always @(posedge clk) begin
    powered <= 1;
    now <= now + 1;
  end

  // Behind the translators: what they do not drive, pulls hold.
  function automatic logic [4:0] translated(input logic ser, srclk, rclk, oe_n, srclr_n);
    return xlat_oe_n ? 5'b00010 : {ser, srclk, rclk, oe_n, srclr_n};
  endfunction
  function automatic logic [2:0] selected_mode(input logic inh, b, a);
    return xlat_oe_n ? 3'b100 : {inh, b, a};
  endfunction

  logic [ROWS+ARRAY_BITS-1:0] wl_q;
  logic [ROWS-1:0] bl_q;
  logic [COLUMNS-1:0] sl_q;
  logic [4:0] wl_pins, bl_pins, sl_pins;
  logic [2:0] wl_switch, bl_switch, sl_switch, adc_switch;
  assign wl_pins = translated(wl_ser, wl_srclk, wl_rclk, wl_oe_n, wl_srclr_n);
  assign bl_pins = translated(bl_ser, bl_srclk, bl_rclk, bl_oe_n, bl_srclr_n);
  assign sl_pins = translated(sl_ser, sl_srclk, sl_rclk, sl_oe_n, sl_srclr_n);
  assign wl_switch = selected_mode(wl_mux_inh, wl_mux_b, wl_mux_a);
  assign bl_switch = selected_mode(bl_mux_inh, bl_mux_b, bl_mux_a);
  assign sl_switch = selected_mode(sl_mux_inh, sl_mux_b, sl_mux_a);
  assign adc_switch = selected_mode(adc_mux_inh, adc_mux_b, adc_mux_a);

  sn74hc595 #(.NAME("HC595 WL"), .BITS(ROWS + ARRAY_BITS), .CHECKS(CHECKS)) wl_chain (
      .clk, .rst(off), .now, .ser(wl_pins[4]), .srclk(wl_pins[3]), .rclk(wl_pins[2]), .oe_n(wl_pins[1]),
      .srclr_n(wl_pins[0]), .q(wl_q));
  sn74hc595 #(.NAME("HC595 BL"), .BITS(ROWS), .CHECKS(CHECKS)) bl_chain (
      .clk, .rst(off), .now, .ser(bl_pins[4]), .srclk(bl_pins[3]), .rclk(bl_pins[2]), .oe_n(bl_pins[1]),
      .srclr_n(bl_pins[0]), .q(bl_q));
  sn74hc595 #(.NAME("HC595 SL"), .BITS(COLUMNS), .CHECKS(CHECKS)) sl_chain (
      .clk, .rst(off), .now, .ser(sl_pins[4]), .srclk(sl_pins[3]), .rclk(sl_pins[2]), .oe_n(sl_pins[1]),
      .srclr_n(sl_pins[0]), .q(sl_q));

  logic wl_on, bl_on, sl_on, adc_on;
  logic [1:0] wl_mode, bl_mode, sl_mode, position;
  logic [63:0] wl_changed, bl_changed, sl_changed, adc_changed;
  cd4051b #(.NAME("CD4051B WL"), .LINES(ROWS), .CHECKS(CHECKS)) wl_mux (
      .clk, .rst(off), .now, .a(wl_switch[0]), .b(wl_switch[1]), .inh(wl_switch[2]), .c(wl_q[ROWS-1:0]),
      .connected(wl_on), .mode(wl_mode), .changed(wl_changed));
  cd4051b #(.NAME("CD4051B BL"), .LINES(ROWS), .CHECKS(CHECKS)) bl_mux (
      .clk, .rst(off), .now, .a(bl_switch[0]), .b(bl_switch[1]), .inh(bl_switch[2]), .c(bl_q),
      .connected(bl_on), .mode(bl_mode), .changed(bl_changed));
  cd4051b #(.NAME("CD4051B SL"), .LINES(COLUMNS), .CHECKS(CHECKS)) sl_mux (
      .clk, .rst(off), .now, .a(sl_switch[0]), .b(sl_switch[1]), .inh(sl_switch[2]), .c(sl_q),
      .connected(sl_on), .mode(sl_mode), .changed(sl_changed));
  cd4051b #(.NAME("CD4051B ADC"), .LINES(1), .CHECKS(CHECKS)) adc_mux (
      .clk, .rst(off), .now, .a(adc_switch[0]), .b(adc_switch[1]), .inh(adc_switch[2]), .c(1'b0),
      .connected(adc_on), .mode(position), .changed(adc_changed));

  logic [DACS:0] driving, halved, ref_down, dac_silent, dac_strange;
  logic [ADCS-1:0] adc_high, adc_low, sound_dout;
  logic analyser_silent;
  logic [128*(DACS+1)-1:0] dac_code;
  logic [8*(DACS+1)-1:0] loaded, gain, down;
  logic [63:0] rows_updated, supplies_updated;
  logic dac_changed;
  dac80508 #(.PARTS(DACS + 1), .CHECKS(CHECKS)) dac (
      .clk, .rst(off), .now, .sclk(dac_sclk), .sdi(dac_sdi), .cs_n(dac_cs_n), .silent(dac_silent),
      .strange(dac_strange), .sdo(dac_sdo), .driving, .code(dac_code), .loaded, .gain, .down, .halved, .ref_down, .updated(rows_updated), .supplies_updated, .changed(dac_changed));

  logic hold;
  logic [16*ADCS-1:0] codes;
  ads8324 #(.ADCS(ADCS), .CHECKS(CHECKS)) adc (
      .clk, .rst(off), .now, .dclock(adc_dclock), .cs_n(adc_cs_n), .codes, .hold, .dout(sound_dout));
  assign adc_dout = (sound_dout | adc_high) & ~adc_low;

  assign b1500_trig_in = b1500_trig_out && !analyser_silent;  // an analyser that answers every trigger at once

  // Broken parts, as they are when the supplies come up.
  always_ff @(posedge clk) begin
    if (off) begin
      for (int part = 0; part <= DACS; part++) begin
        dac_silent[part] <= rmd_fault(DAC_SILENT, part);
        dac_strange[part] <= rmd_fault(DAC_STRANGE, part);
      end
      for (int part = 0; part < ADCS; part++) begin
        adc_high[part] <= rmd_fault(ADC_HIGH, part);
        adc_low[part] <= rmd_fault(ADC_LOW, part);
      end
      analyser_silent <= rmd_fault(ANALYSER_SILENT, 0);
    end
  end

  function automatic void refuse(input string part, input string rule, input int limit, input int measured);
    rmd_violation(part, rule, limit, measured, now - POWERED);
  endfunction

  function automatic void settle(input string rule, input int ticks, input ticks_t since);
    if (now - since < 64'(ticks)) refuse("settling", rule, 10 * ticks, nanoseconds(now - since));
  endfunction

  // Start-up: every row channel and VCM written and let through, and 10 us since the last of them.
  logic all_loaded, started;
  logic [63:0] started_at;
  always_ff @(posedge clk) begin
    if (off) begin
      {all_loaded, started, started_at} <= '0;
    end else begin
      if (now == started_at) started <= all_loaded;
      if (dac_changed) begin
        all_loaded <= loaded[8*DACS-1:0] == '1 && loaded[8*DACS+4];
        if (!all_loaded) started_at <= now + START_SETTLE - 1;
        if (loaded[8*DACS-1:0] != '1 || !loaded[8*DACS+4]) started <= 0;
      end
    end
  end

  // Electrical states that must not be: judged whenever one begins.
  logic [13:0] state, state_q;
  logic wl_live, bl_live, reading, programming, pulsing, pulsing_q;
  logic [63:0] pulse_began;
  assign wl_live = wl_on && wl_q[ROWS-1:0] != '0;
  assign bl_live = bl_on && bl_q != '0;
  assign reading = (wl_on && wl_mode == READ) || (bl_on && bl_mode == READ) || (sl_on && sl_mode == READ);
  assign programming = (wl_on && wl_mode[1]) || (bl_on && bl_mode[1]) || (sl_on && sl_mode[1]);
  assign pulsing = wl_live && wl_mode == SET;
  assign state = {started, (driving & (driving - 1'b1)) != '0, !dac_cs_n[DACS], wl_live, bl_live, wl_on, wl_mode, bl_on,
                  bl_mode, sl_on, sl_mode};
  always_ff @(posedge clk) begin
    if (off) begin
      {state_q, pulsing_q, pulse_began} <= '0;
    end else if (state != state_q) begin
      state_q <= state;
      pulsing_q <= pulsing;
      if (pulsing && !pulsing_q) pulse_began <= now;
      if (CHECKS) begin
        if ((driving & (driving - 1'b1)) != '0) refuse("DAC80508", "parts that drive SDO", 1, $countones(driving));
        if (reading && programming) refuse("board", "groups in READ while others program", 0, 1);
        if (wl_live && wl_mode == READ && !started) refuse("board", "WL in READ before START has ended", 0, 1);
        if (bl_live && bl_mode == READ && !started) refuse("board", "BL in READ before START has ended", 0, 1);
        if (!dac_cs_n[DACS] && wl_on && wl_mode == READ) refuse("board", "supplies selected while reading", 0, 1);
        if (pulsing && !pulsing_q) begin
          settle("BL before a pulse", LINE_SETTLE, bl_changed);
          settle("SL before a pulse", LINE_SETTLE, sl_changed);
          settle("supplies before a pulse", LINE_SETTLE, supplies_updated);
        end
        if (!pulsing && pulsing_q && now - pulse_began < 64'(SHORTEST_PULSE))
          refuse("board", "width of a pulse by wl_mux_inh", 10 * SHORTEST_PULSE, nanoseconds(now - pulse_began));
      end
    end
  end

  // A pulse: WL at VP_WL, or the analyser's on a trigger. What it does is the array's; its ends are this.
  logic [63:0] pulse_start;
  logic [ROWS+ARRAY_BITS-1:0] pulse_wl;
  logic pulse_on, trigger_q;
  function automatic void strike(input logic [ROWS+ARRAY_BITS-1:0] words, input ticks_t began, input int ticks);
    automatic logic cells_on = bl_on && sl_on && bl_mode[1] && bl_mode == sl_mode;
    if (CHECKS) begin
      if (bl_changed > began || sl_changed > began) refuse("board", "lines that move in a pulse", 0, 1);
      if (!cells_on) refuse("board", "BL and SL both in SET or both in RESET at a pulse", 1, 0);
      if (gain[8*DACS+:3] != 3'b111 || down[8*DACS+:3] != 0) refuse("DAC80508", "full scale of the supplies 5 V", 1, 0);
    end
    if (cells_on)
      rmd_array_pulse(ROWS, COLUMNS, ARRAY_BITS != 0 ? int'(16'(words >> ROWS)) : 0, int'(bl_mode == RESET),
                      words[ROWS-1:0], bl_q, sl_q, dac_code[128*DACS+:48], ticks, now - POWERED);
  endfunction
  always_ff @(posedge clk) begin
    if (off) begin
      {pulse_on, trigger_q, pulse_start, pulse_wl} <= '0;
    end else if (pulsing != pulse_on || b1500_trig_out != trigger_q) begin
      pulse_on <= pulsing;
      trigger_q <= b1500_trig_out;
      if (pulsing && !pulse_on) {pulse_start, pulse_wl} <= {now, wl_q};
      if (pulse_on && !pulsing) strike(pulse_wl, pulse_start, int'(now - pulse_start));
      if (b1500_trig_out && !trigger_q) begin
        if (wl_live && wl_mode == RESET) begin
          if (!analyser_silent) strike(wl_q, now, ANALYSER_PULSE);
        end else if (CHECKS) refuse("board", "a trigger with WL on the analyser", 1, 0);
      end
    end
  end

  // A conversion: everything the sample depends on has settled, and is what a read needs.
  always_ff @(posedge clk) begin
    if (hold) begin
      automatic logic [ROWS-1:0] asleep = '0;
      automatic logic [15:0] selected = 0;
      automatic bit [16*ADCS-1:0] answer;
      for (int row = 0; row < ROWS; row++) asleep[row] = bl_q[row] && down[row];
      if (ARRAY_BITS != 0) selected = 16'(wl_q >> ROWS);
      if (CHECKS) begin
        settle("ADC switch to the hold", CONNECT + STAGE_SETTLE, adc_changed);
        settle("WL switch to the hold", CONNECT + STAGE_SETTLE, wl_changed);
        settle("BL switch to the hold", CONNECT + STAGE_SETTLE, bl_changed);
        settle("SL switch to the hold", CONNECT + STAGE_SETTLE, sl_changed);
        settle("DAC to the hold", DAC_SETTLE + STAGE_SETTLE, rows_updated);
        settle("supplies to the hold", DAC_SETTLE + STAGE_SETTLE, supplies_updated);
        if (!(wl_on && wl_mode == READ)) refuse("board", "WL in READ at the hold", 1, 0);
        if (!(bl_on && bl_mode == READ)) refuse("board", "BL in READ at the hold", 1, 0);
        if (!(sl_on && sl_mode == READ)) refuse("board", "SL in READ at the hold", 1, 0);
        if (!adc_on) refuse("board", "ADC switch connected at the hold", 1, 0);
        if (int'(position) >= POSITIONS) refuse("board", "ADC switch position, below", POSITIONS, int'(position));
        if (ref_down != {1'b0, {DACS{1'b1}}}) refuse("DAC80508", "reference from the last part alone", 0, 1);
        if (halved != '0 || gain[8*DACS-1:0] != '0) refuse("DAC80508", "full scale of the rows 2.5 V", 0, 1);
        if (asleep != '0) refuse("DAC80508", "driven rows powered down", 0, $countones(asleep));
        if (!gain[8*DACS+3] || dac_code[128*DACS+48+:16] < MID || down[8*DACS+3])
          refuse("board", "V_WL_RD at least 2.5 V, in codes of 5 V", 32768, int'(dac_code[128*DACS+48+:16]));
        if (gain[8*DACS+4] || dac_code[128*DACS+64+:16] != MID || down[8*DACS+4])
          refuse("board", "VCM 1.25 V, in codes of 2.5 V", 32768, int'(dac_code[128*DACS+64+:16]));
      end
      rmd_array_read(ROWS, COLUMNS, ADCS, int'(selected), int'(position),
                     {20'b0, adc_on, 2'b0, sl_on, sl_mode, bl_on, bl_mode, wl_on, wl_mode}, wl_q[ROWS-1:0], bl_q, sl_q,
                     dac_code[16*ROWS-1:0], answer, now - POWERED);
      codes <= answer;
    end
  end
endmodule
