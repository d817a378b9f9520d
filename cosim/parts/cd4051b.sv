// A group of CD4051B at VDD 5 V, VEE -5 V (SCHS047) that share A, B and INH; address C is each line's own bit.
//
// Line i is on channel 4 * c[i] + mode while `connected`. INH's rise opens a switch within 450 ns and its fall closes
// it within 720 ns (the 5 V single-supply columns, the slower ones); nothing is specified to break before it makes, so
// an address may change only 450 ns after INH's rise. In mode 0 both channels of a line are ground: bits may change
// freely.
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

  logic [LINES-1:0] c_q;
  logic [63:0] inhibited;

  function automatic void report(input int measured_ns);
    rmd_violation(NAME, "INH high before an address changes", nanoseconds(OPEN), measured_ns, now - POWERED);
  endfunction

  always_ff @(posedge clk) begin
    if (rst) begin
      connected <= 0;
      {mode, c_q, inhibited, changed} <= '0;
    end else if (inh == connected || {b, a} != mode || c != c_q) begin
      connected <= !inh;
      mode <= {b, a};
      c_q <= c;
      changed <= now;
      if (inh && connected) inhibited <= now;
      if (CHECKS && ({b, a} != mode || (c != c_q && mode != 0))) begin
        if (!inh || connected) report(0);
        else if (now - inhibited < OPEN) report(nanoseconds(now - inhibited));
      end
    end
  end
endmodule
