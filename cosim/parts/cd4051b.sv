// A group of CD4051B at VDD 5 V, VEE -5 V (SCHS047) that share A, B and INH; address C is each line's own bit.
//
// Line i is on channel 4 * c[i] + mode while `connected`. INH's rise opens a switch within 450 ns and its fall closes it
// within 720 ns (the 5 V single-supply columns, the slower ones); nothing is specified to break before it makes, so an
// address may change only 450 ns after INH's rise. In mode 0 both channels of a line are ground: bits may change freely.
module cd4051b #(
    parameter string NAME = "CD4051B",
    parameter int LINES = 32,
    parameter bit CHECKS = 1
) (
    input logic clk,
    input logic rst,
    input logic [63:0] now,
    input logic a,
    input logic b,
    input logic inh,
    input logic [LINES-1:0] c,
    output logic connected,
    output logic [1:0] mode,
    output logic [63:0] changed  // tick of the latest change that a signal has to settle from
);
  import board_checks::*;

  localparam ticks_t OPEN = 45;  // INH high to off: 450 ns

  logic inh_q = 1;
  logic [1:0] mode_q = 0;
  logic [LINES-1:0] c_q = '0;
  logic [63:0] inhibited = 0;
  logic [63:0] changed_q = 0;
  logic moved;  // an address that matters changes in this tick

  assign connected = !inh_q;
  assign mode = mode_q;
  assign changed = changed_q;
  assign moved = {b, a} != mode_q || (c != c_q && mode_q != 0);

  function automatic void report(input int measured_ns);
    rmd_violation(NAME, "INH high before an address changes", nanoseconds(OPEN), measured_ns, now - POWERED);
  endfunction

  always_ff @(posedge clk) begin
    if (inh != inh_q || {b, a} != mode_q || c != c_q) begin
      inh_q <= inh;
      mode_q <= {b, a};
      c_q <= c;
      changed_q <= now;
      if (inh && !inh_q) inhibited <= now;
      if (CHECKS && moved) begin
        if (!inh || !inh_q) report(0);
        else if (now - inhibited < OPEN) report(nanoseconds(now - inhibited));
      end
    end
    if (rst) begin
      inh_q <= 1;
      {mode_q, c_q, inhibited, changed_q} <= '0;
    end
  end
endmodule
