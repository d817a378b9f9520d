// What every part of the board says when the chip breaks one of its rules.
//
// Time: the board runs on the chip's clock, 10 ns a tick, and sees a pin one tick after the flip-flop behind it moved;
// so differences are exact, and a delay of D ticks from a pin's edge ends D - 1 ticks after the tick that saw the edge.
// Limits in ns are compared in whole ticks, rounded up.
package board_checks;
  // ``limit`` and ``measured`` are ns, or what the rule names; ``tick`` is the board's clock count since it was
  // powered.
  import "DPI-C" function void rmd_violation(input string part, input string rule, input int limit,
                                             input int measured, input longint tick);
  typedef logic [63:0] ticks_t;
  localparam ticks_t POWERED = 64'h1_0000_0000;  // first tick: every time noted before is long past

  // Elapsed ticks as ns, for a report.
  function automatic int nanoseconds(input ticks_t ticks);
    return ticks > 64'd200_000_000 ? 32'd2_000_000_000 : int'(ticks[31:0]) * 10;
  endfunction
endpackage
