// A chain of SN74HC595 at 5 V (SCLS041, limits at 4.5 V): BITS outputs, QA of the first part is bit 0.
//
// SRCLK's rise shifts SER in at bit 0, RCLK's rise copies the shift register to the outputs 37 ns later at most,
// SRCLR_n low clears the shift register only. OE_n high leaves the outputs to their pull-downs. Both registers wake up
// full of ones, the worst there is.
module sn74hc595 #(
    parameter string NAME = "HC595",
    parameter int BITS = 32,
    parameter bit CHECKS = 1
) (
    input logic clk,
    input logic rst,
    input logic [63:0] now,
    input logic ser,
    input logic srclk,
    input logic rclk,
    input logic oe_n,
    input logic srclr_n,
    output logic [BITS-1:0] q
);
  import board_checks::*;

  localparam ticks_t PULSE = 2;      // tw 20 ns: SRCLK, RCLK, SRCLR_n
  localparam ticks_t SETUP_SER = 3;  // tsu 25 ns
  localparam ticks_t LATCH = 2;      // tsu SRCLK to RCLK 19 ns; SRCLR_n low to RCLK 13 ns
  localparam ticks_t RECOVER = 2;    // tsu SRCLR_n high to SRCLK 12 ns
  localparam ticks_t CASCADE = 7;    // tpd SRCLK to QH' 40 ns and tsu SER 25 ns: 15.4 MHz
  localparam ticks_t THROUGH = 4;    // tpd RCLK to Q 37 ns

  logic [BITS-1:0] shifted, stored, shown;  // shown: what the outputs would be, or are, if enabled
  logic ser_q, srclk_q, rclk_q, srclr_n_q, oe_n_q;
  logic [63:0] ser_at, srclk_rise, srclk_fall, rclk_rise, rclk_fall, clear_at, cleared_at, through_at;

  function automatic void report(input string rule, input int limit_ns, input ticks_t since);
    rmd_violation(NAME, rule, limit_ns, nanoseconds(now - since), now - POWERED);
  endfunction

  always_ff @(posedge clk) begin
    if (rst) begin
      {shifted, stored, shown} <= '1;
      {ser_q, srclk_q, rclk_q, srclr_n_q} <= '0;
      oe_n_q <= 1;
      q <= '0;
      {ser_at, srclk_rise, srclk_fall, rclk_rise, rclk_fall, clear_at, cleared_at, through_at} <= '0;
    end else begin
      if (now == through_at) q <= oe_n ? '0 : stored;
      if (oe_n != oe_n_q) begin
        oe_n_q <= oe_n;
        q <= oe_n ? '0 : shown;
      end
      if (now == through_at) shown <= stored;
      if ({ser, srclk, rclk, srclr_n} != {ser_q, srclk_q, rclk_q, srclr_n_q}) begin
        {ser_q, srclk_q, rclk_q, srclr_n_q} <= {ser, srclk, rclk, srclr_n};
        if (ser != ser_q) ser_at <= now;
        if (srclk && !srclk_q) begin
          srclk_rise <= now;
          if (srclr_n) shifted <= {shifted[BITS-2:0], ser};
          if (CHECKS) begin
            if (ser != ser_q) report("tsu SER to SRCLK", 25, now);
            else if (now - ser_at < SETUP_SER) report("tsu SER to SRCLK", 25, ser_at);
            if (now - srclk_fall < PULSE) report("tw SRCLK low", 20, srclk_fall);
            if (now - srclk_rise < CASCADE) report("cascade period of SRCLK", 65, srclk_rise);
            if (srclr_n && now - cleared_at < RECOVER) report("tsu SRCLR_n high to SRCLK", 12, cleared_at);
          end
        end
        if (!srclk && srclk_q) begin
          srclk_fall <= now;
          if (CHECKS && now - srclk_rise < PULSE) report("tw SRCLK high", 20, srclk_rise);
        end
        if (!srclr_n && srclr_n_q) clear_at <= now;
        if (srclr_n && !srclr_n_q) begin
          cleared_at <= now;
          if (CHECKS && now - clear_at < PULSE) report("tw SRCLR_n low", 20, clear_at);
          if (CHECKS && srclk) report("SRCLK low while SRCLR_n rises", 0, now);
        end
        if (rclk && !rclk_q) begin
          rclk_rise <= now;
          stored <= shifted;
          through_at <= now + THROUGH - 1;
          if (CHECKS) begin
            if (srclk && !srclk_q) report("tsu SRCLK to RCLK", 19, now);
            else if (now - srclk_rise < LATCH) report("tsu SRCLK to RCLK", 19, srclk_rise);
            if (!srclr_n && now - clear_at < LATCH) report("tsu SRCLR_n low to RCLK", 13, clear_at);
            if (now - rclk_fall < PULSE) report("tw RCLK low", 20, rclk_fall);
          end
        end
        if (!rclk && rclk_q) begin
          rclk_fall <= now;
          if (CHECKS && now - rclk_rise < PULSE) report("tw RCLK high", 20, rclk_rise);
        end
      end
      if (!srclr_n) shifted <= '0;
    end
  end
endmodule
