// ADCS ADS8324 (SBAS172A) that share DCLOCK and CS_n: 24 clocks a conversion, 14 bits, two's complement.
//
// CS_n's fall starts the sample; the input is held at the 5th fall of DCLOCK (`hold`, in the tick that sees it: give
// `codes` from the next tick on). DOUT shows a bit after each fall from the 5th on: 0, D13 .. D0, 0, 0, then a 0 and
// D0 .. D13 again. A bit is valid 250 ns after its fall, and the opposite of what it will be until then. DOUT is pulled
// up where it is high impedance, before the 5th fall and with CS_n high.
module ads8324 #(
    parameter int ADCS = 8,
    parameter bit CHECKS = 1
) (
    input logic clk,
    input logic rst,
    input logic [63:0] now,
    input logic dclock,
    input logic cs_n,
    input logic [16*ADCS-1:0] codes,
    output logic hold,
    output logic [ADCS-1:0] dout
);
  import board_checks::*;

  localparam ticks_t PULSE = 20;        // DCLOCK high and low: 200 ns
  localparam ticks_t PERIOD = 84;       // 1.2 MHz: 833 ns
  localparam ticks_t SLOWEST = 4166;    // 24 kHz: 41.6 us
  localparam ticks_t CYCLE = 2000;      // 50 kSPS: 20 us from CS_n fall to CS_n fall
  localparam ticks_t SELECT = 5;        // tSUCS, CS_n fall to DCLOCK rise: 50 ns
  localparam ticks_t DELAY = 25;        // tdDO: 250 ns
  localparam logic [6:0] SAMPLE = 5;        // falls until the hold
  localparam logic [6:0] WHOLE = 21;        // falls of a whole conversion: sample, 14 bits, two zeros

  logic dclock_q, cs_n_q;
  logic [6:0] falls;
  logic [ADCS-1:0] coming;
  logic [63:0] due, selected, rise, fall;
  logic falling;

  assign falling = !dclock && dclock_q && !cs_n && !cs_n_q;
  assign hold = falling && falls == SAMPLE - 1;

  function automatic void report(input string rule, input int limit_ns, input ticks_t since);
    rmd_violation("ADS8324", rule, limit_ns, nanoseconds(now - since), now - POWERED);
  endfunction

  // DOUT of one part after fall `count`.
  function automatic logic bit_after(input logic [6:0] count, input logic [15:0] code);
    if (count < SAMPLE) return 1;
    if (count > 5 && count < 20) return code[4'(7'd19 - count)];
    if (count > 22 && count < 37) return code[4'(count - 7'd23)];
    return 0;
  endfunction

  always_ff @(posedge clk) begin
    if (rst) begin
      {dclock_q, falls, due, selected, rise, fall} <= '0;
      {cs_n_q, dout, coming} <= '1;
    end else begin
      if (now == due) dout <= coming;
      if (dclock != dclock_q || cs_n != cs_n_q) begin
        dclock_q <= dclock;
        cs_n_q <= cs_n;
        if (!cs_n && cs_n_q) begin
          selected <= now;
          falls <= 0;
          if (CHECKS && dclock) report("DCLOCK low at CS_n fall (tCSD)", 0, now);
          if (CHECKS && now - selected < CYCLE) report("CS_n fall to CS_n fall", 20000, selected);
        end
        if (cs_n && !cs_n_q) begin
          dout <= '1;
          due <= 0;
          if (CHECKS && falls != 0 && falls < WHOLE)
            rmd_violation("ADS8324", "DCLOCK falls in a conversion", int'(WHOLE), int'(falls), now - POWERED);
        end
        if (dclock && !dclock_q) begin
          rise <= now;
          if (CHECKS && !cs_n) begin
            if (cs_n_q) report("CS_n fall to DCLOCK rise (tSUCS)", 50, now);
            else if (now - selected < SELECT) report("CS_n fall to DCLOCK rise (tSUCS)", 50, selected);
            if (now - fall < PULSE) report("DCLOCK low", 200, fall);
            if (now - rise < PERIOD) report("DCLOCK period", 833, rise);
            if (falls != 0 && now - rise > SLOWEST) report("DCLOCK period, at most", 41660, rise);
          end
        end
        if (!dclock && dclock_q) begin
          fall <= now;
          if (CHECKS && !cs_n && now - rise < PULSE) report("DCLOCK high", 200, rise);
        end
        if (falling) begin
          if (falls != '1) falls <= falls + 1;
          if (falls >= SAMPLE - 1) begin
            for (int part = 0; part < ADCS; part++) begin
              dout[part] <= !bit_after(falls + 1, codes[16*part+:16]);
              coming[part] <= bit_after(falls + 1, codes[16*part+:16]);
            end
            due <= now + DELAY - 1;
          end
        end
      end
    end
  end
endmodule
