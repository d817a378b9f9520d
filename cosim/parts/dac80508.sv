// A DAC80508 at VIO 2.5 V (SLASEL1): eight 16-bit channels, frames of 24 bits, no LDAC pin.
//
// SDI is taken at SCLK's fall with CS_n low; a frame takes effect at CS_n's rise. A read command is answered in the next
// frame: SDO shows {1, 000, address, value}, a bit after each rise of SCLK, valid 35 ns after it and its opposite until
// then. A channel with SYNC-EN takes its buffer at TRIGGER.LDAC, another one at once. Wake-up: code 0 (Z) or
// mid-scale with gain 2 (M, MIDSCALE = 1); 250 us after power-up or soft reset the part listens.
module dac80508 #(
    parameter string NAME = "DAC80508",
    parameter bit MIDSCALE = 0,
    parameter bit CHECKS = 1
) (
    input logic clk,
    input logic rst,
    input logic [63:0] now,
    input logic sclk,
    input logic sdi,
    input logic cs_n,
    output logic sdo,
    output logic sdo_on,
    output logic [127:0] code,   // what the outputs show, channel i from bit 16 i on
    output logic [7:0] loaded,   // channels whose output was written since the last reset
    output logic [7:0] gain,     // channels with a gain of 2
    output logic [7:0] down,     // channels powered down
    output logic halved,         // REFDIV-EN
    output logic ref_down,       // REF-PWDWN: the reference comes from elsewhere
    output logic [63:0] updated  // tick of the latest change of an output
);
  import board_checks::*;

  localparam logic [15:0] DEVICE_ID = {4'h0, 4'h8, MIDSCALE, 7'h14};  // 16 bits, 8 channels, Z or M; rest unspecified
  localparam ticks_t WAKE = 25_000;  // 250 us
  localparam ticks_t AGAIN = 100;    // 1 us between updates of a channel
  localparam ticks_t DELAY = 4;      // SCLK rise to SDO: 35 ns
  typedef enum logic [3:0] {NOP, ID, SYNC, CONFIG, GAIN, TRIGGER, BRDCAST, STATUS} address_t;

  logic sclk_q = 0, sdi_q = 0, cs_n_q = 1;
  logic [23:0] frame = 0;
  logic [5:0] count = 0;
  logic [23:0] answer = 0;
  logic asked = 0;      // the frame before was a read
  logic answering = 0;  // this frame carries the answer
  logic sdo_q = 0, sdo_next = 0;
  logic [63:0] due = 0, woken = POWERED, selected = 0, released = 0, rise = 0, fall = 0, updated_q = 0;
  logic [63:0] updates[8];
  logic [15:0] sync = 16'hFF00, configured = 0, doubled = MIDSCALE ? 16'h00FF : 16'h0000, broadcast = 0;
  logic [127:0] buffer = {8{MIDSCALE, 15'b0}};
  logic [127:0] code_q = {8{MIDSCALE, 15'b0}};
  logic [7:0] loaded_q = 0;

  assign sdo = sdo_q;
  assign sdo_on = !cs_n_q && !configured[9];
  assign code = code_q;
  assign loaded = loaded_q;
  assign gain = doubled[7:0];
  assign down = configured[7:0];
  assign halved = doubled[8];
  assign ref_down = configured[8];
  assign updated = updated_q;

  function automatic void report(input string rule, input int limit_ns, input ticks_t since);
    rmd_violation(NAME, rule, limit_ns, nanoseconds(now - since), now - POWERED);
  endfunction

  function automatic void refuse(input string rule, input int limit, input int measured);
    rmd_violation(NAME, rule, limit, measured, now - POWERED);
  endfunction

  function automatic logic [15:0] register_value(input logic [3:0] address);
    if (address[3]) return buffer[16*address[2:0]+:16];
    case (address)
      ID: return DEVICE_ID;
      SYNC: return sync;
      CONFIG: return configured;
      GAIN: return doubled;
      BRDCAST: return broadcast;
      default: return 0;
    endcase
  endfunction

  always_ff @(posedge clk) begin
    if (now == due) sdo_q <= sdo_next;
    if (cs_n != cs_n_q) begin
      cs_n_q <= cs_n;
      if (!cs_n) begin
        selected <= now;
        count <= 0;
        answering <= asked;
        asked <= 0;
        sdo_q <= 0;
        due <= 0;
        if (CHECKS && now - released < 2) report("CS_n high", 15, released);
        if (CHECKS && now - woken < WAKE) report("wait after power-up or reset", 250_000, woken);
      end else begin
        released <= now;
        if (CHECKS && count != 0) begin
          if (sclk_q && !sclk) report("SCLK fall to CS_n rise", 10, now);
          if (count != 24) refuse("bits in a frame", 24, int'(count));
          if (frame[22:20] != 0) refuse("reserved bits of a frame", 0, int'(frame[22:20]));
        end
        if (count == 24) begin
          if (frame[23]) begin
            asked <= 1;
            answer <= {4'h8, frame[19:16], register_value(frame[19:16])};
          end else begin
            case (frame[19:16])
              SYNC: sync <= frame[15:0];
              CONFIG: configured <= frame[15:0];
              GAIN: doubled <= frame[15:0];
              BRDCAST: broadcast <= frame[15:0];
              default: ;
            endcase
            if (CHECKS && frame[19:16] == CONFIG && frame[11]) refuse("CRC frames are not modelled", 0, 1);
            for (int channel = 0; channel < 8; channel++) begin
              automatic logic written = frame[19:16] == {1'b1, 3'(channel)} ||
                                        (frame[19:16] == BRDCAST && sync[8+channel]);
              if (written) buffer[16*channel+:16] <= frame[15:0];
              if (sync[channel] ? frame[19:16] == TRIGGER && frame[4] : written) begin
                code_q[16*channel+:16] <= written ? frame[15:0] : buffer[16*channel+:16];
                loaded_q[channel] <= 1;
                updates[channel] <= now;
                updated_q <= now;
                if (CHECKS && now - updates[channel] < AGAIN)
                  report("update to update of a channel", 1000, updates[channel]);
              end
            end
            if (frame[19:16] == TRIGGER && frame[3:0] == 4'hA) begin
              sync <= 16'hFF00;
              {configured, broadcast, loaded_q, asked} <= '0;
              doubled <= MIDSCALE ? 16'h00FF : 16'h0000;
              {buffer, code_q} <= {16{MIDSCALE, 15'b0}};
              woken <= now;
              updated_q <= now;
            end
          end
        end
      end
    end
    if (!cs_n && (sclk != sclk_q || sdi != sdi_q)) begin
      if (sclk && !sclk_q) begin
        rise <= now;
        if (answering && !cs_n_q) begin
          if (CHECKS && count != 0 && now - fall < 4) report("SCLK low while answering", 35, fall);
          sdo_q <= !answer[23];
          sdo_next <= answer[23];
          answer <= answer << 1;
          due <= now + DELAY - 1;
        end
      end
      if (!sclk && sclk_q) begin
        fall <= now;
        frame <= {frame[22:0], sdi};
        if (count != '1) count <= count + 1;
        if (CHECKS) begin
          if (sdi != sdi_q) report("SDI stable around SCLK fall", 5, now);
          if (cs_n_q) report("CS_n fall to SCLK fall", 13, now);
          else if (count == 0 && now - selected < (answering ? 4 : 2))
            report("CS_n fall to SCLK fall", answering ? 32 : 13, selected);
          if (count != 0 && now - fall < (answering ? 9 : 2)) report("SCLK period", answering ? 83 : 20, fall);
          if (answering && now - rise < 4) report("SCLK high while answering", 35, rise);
        end
      end
    end
    if (sclk != sclk_q) sclk_q <= sclk;
    if (sdi != sdi_q) sdi_q <= sdi;
    if (rst) begin
      {sclk_q, sdi_q, count, asked, answering, sdo_q, due, selected, released, rise, fall, updated_q} <= '0;
      cs_n_q <= 1;
      woken <= now;
      sync <= 16'hFF00;
      {configured, broadcast, loaded_q} <= '0;
      doubled <= MIDSCALE ? 16'h00FF : 16'h0000;
      {buffer, code_q} <= {16{MIDSCALE, 15'b0}};
      for (int channel = 0; channel < 8; channel++) updates[channel] <= '0;
    end
  end
endmodule
