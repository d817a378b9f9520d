// PARTS DAC80508 at VIO 2.5 V (SLASEL1) on one SCLK, SDI and SDO, each with a CS_n: eight 16-bit channels a part,
// frames of 24 bits, no LDAC pin.
//
// SDI is taken at SCLK's fall with CS_n low; a frame takes effect at CS_n's rise. A read command is answered in the
// part's next frame: SDO shows {1, 000, address, value}, a bit after each rise of SCLK, valid 35 ns after it and its
// opposite until then. SDO is pulled up while nobody drives it. A channel with SYNC-EN takes its buffer at
// TRIGGER.LDAC, another one at once. Wake-up: code 0 (Z) or mid-scale with gain 2 (M, MIDSCALE = 1); 250 us after
// power-up or soft reset a part listens.
module dac80508 #(
    parameter int PARTS = 5,
    parameter bit MIDSCALE = 0,
    parameter bit CHECKS = 1
) (
    input logic clk,
    input logic rst,
    input logic [63:0] now,
    input logic sclk,
    input logic sdi,
    input logic [PARTS-1:0] cs_n,
    input logic [PARTS-1:0] silent,        // broken: never drive SDO
    input logic [PARTS-1:0] strange,       // broken: say they are another part
    output logic sdo,
    output logic [PARTS-1:0] driving,      // parts that drive SDO
    output logic [128*PARTS-1:0] code,     // what the outputs show: channel i of part p from bit 128 p + 16 i on
    output logic [8*PARTS-1:0] loaded,     // channels whose output was written since the last reset
    output logic [8*PARTS-1:0] gain,       // channels with a gain of 2
    output logic [8*PARTS-1:0] down,       // channels powered down
    output logic [PARTS-1:0] halved,       // REFDIV-EN
    output logic [PARTS-1:0] ref_down,     // REF-PWDWN: the reference comes from elsewhere
    output logic [63:0] updated,           // tick of the latest change of an output of all parts but the last
    output logic [63:0] supplies_updated,  // ... of the last
    output logic changed                   // outputs or settings are not what they were a tick ago
);
  import board_checks::*;

  localparam logic [15:0] DEVICE_ID = {4'h0, 4'h8, MIDSCALE, 7'h14};  // 16 bits, 8 channels, Z or M; rest unspecified
  localparam ticks_t WAKE = 25_000;  // 250 us
  localparam ticks_t AGAIN = 100;    // 1 us between updates of a channel
  localparam ticks_t DELAY = 4;      // SCLK rise to SDO: 35 ns
  localparam logic [15:0] SYNC_RESET = 16'hFF00;
  localparam logic [7:0] GAIN_RESET = {8{MIDSCALE}};
  localparam logic [127:0] CODE_RESET = {8{MIDSCALE, 15'b0}};
  typedef enum logic [3:0] {NOP, ID, SYNC, CONFIG, GAIN, TRIGGER, BRDCAST, STATUS} address_t;

  logic sclk_q, sdi_q;
  logic [PARTS-1:0] cs_n_q;
  logic [23:0] frame;             // the latest 24 bits, whoever is selected
  logic [15:0] falls;             // of SCLK with anybody selected
  logic [15:0] first[PARTS];      // what `falls` was when the part was selected
  logic [23:0] answer[PARTS];
  logic [PARTS-1:0] asked;        // the part's frame before was a read
  logic answering;                // the frame going on carries an answer
  logic [$clog2(PARTS)-1:0] speaker;
  logic sdo_next;
  logic [63:0] due, selected, rise, fall;
  logic [63:0] released[PARTS], woken[PARTS], updates[8*PARTS];
  logic [15:0] sync[PARTS], broadcast[PARTS];
  logic [PARTS-1:0] quiet;        // DSDO
  logic [128*PARTS-1:0] buffer;

  function automatic void report(input int part, input string rule, input int limit_ns, input ticks_t since);
    rmd_violation($sformatf("DAC80508 %0d", part), rule, limit_ns, nanoseconds(now - since), now - POWERED);
  endfunction

  function automatic void refuse(input int part, input string rule, input int limit, input int measured);
    rmd_violation($sformatf("DAC80508 %0d", part), rule, limit, measured, now - POWERED);
  endfunction

  function automatic logic [15:0] register_value(input int part, input logic [3:0] address);
    if (address[3]) return buffer[128*part+16*int'(address[2:0])+:16];
    case (address)
      ID: return strange[part] ? ~DEVICE_ID : DEVICE_ID;
      SYNC: return sync[part];
      CONFIG: return {6'b0, quiet[part], ref_down[part], down[8*part+:8]};
      GAIN: return {7'b0, halved[part], gain[8*part+:8]};
      BRDCAST: return broadcast[part];
      default: return 0;
    endcase
  endfunction

  // A part's registers and outputs as after power-up or soft reset.
  task automatic wake(input int part);
    sync[part] <= SYNC_RESET;
    {quiet[part], ref_down[part], halved[part], asked[part]} <= '0;
    {down[8*part+:8], loaded[8*part+:8], broadcast[part]} <= '0;
    gain[8*part+:8] <= GAIN_RESET;
    {code[128*part+:128], buffer[128*part+:128]} <= {2{CODE_RESET}};
    woken[part] <= now;
    note_update(part);
  endtask

  task automatic note_update(input int part);
    if (part == PARTS - 1) supplies_updated <= now;
    else updated <= now;
  endtask

  // What a whole frame of 24 bits does to the part.
  task automatic obey(input int part);
    if (CHECKS && frame[22:20] != 0) refuse(part, "reserved bits of a frame", 0, int'(frame[22:20]));
    if (frame[23]) begin
      asked[part] <= 1;
      answer[part] <= {4'h8, frame[19:16], register_value(part, frame[19:16])};
    end else begin
      case (frame[19:16])
        SYNC: sync[part] <= frame[15:0];
        CONFIG: {quiet[part], ref_down[part], down[8*part+:8]} <= frame[9:0];
        GAIN: {halved[part], gain[8*part+:8]} <= frame[8:0];
        BRDCAST: broadcast[part] <= frame[15:0];
        default: ;
      endcase
      if (CHECKS && frame[19:16] == CONFIG && frame[11]) refuse(part, "CRC frames are not modelled", 0, 1);
      for (int channel = 0; channel < 8; channel++) begin
        automatic logic written = frame[19:16] == {1'b1, 3'(channel)} ||
                                  (frame[19:16] == BRDCAST && sync[part][8+channel]);
        if (written) buffer[128*part+16*channel+:16] <= frame[15:0];
        if (sync[part][channel] ? frame[19:16] == TRIGGER && frame[4] : written) begin
          code[128*part+16*channel+:16] <= written ? frame[15:0] : buffer[128*part+16*channel+:16];
          loaded[8*part+channel] <= 1;
          updates[8*part+channel] <= now;
          note_update(part);
          if (CHECKS && now - updates[8*part+channel] < AGAIN)
            report(part, "update to update of a channel", 1000, updates[8*part+channel]);
        end
      end
      if (frame[19:16] == TRIGGER && frame[3:0] == 4'hA) wake(part);
    end
  endtask

  // CS_n of a part moves.
  task automatic select(input int part);
    automatic logic [15:0] count = falls - first[part];
    if (!cs_n[part]) begin
      selected <= now;
      first[part] <= falls;
      if (!quiet[part] && !silent[part]) begin
        answering <= asked[part];
        speaker <= $clog2(PARTS)'(part);
      end
      asked[part] <= 0;
      due <= 0;
      if (CHECKS && now - released[part] < 2) report(part, "CS_n high", 15, released[part]);
      if (CHECKS && now - woken[part] < WAKE) report(part, "wait after power-up or reset", 250_000, woken[part]);
    end else begin
      released[part] <= now;
      if (CHECKS && count != 0 && sclk_q && !sclk) report(part, "SCLK fall to CS_n rise", 10, now);
      if (CHECKS && count != 0 && count != 24) refuse(part, "bits in a frame", 24, int'(count));
      if (count == 24) obey(part);
    end
  endtask

  always_ff @(posedge clk) begin
    if (rst) begin
      {sclk_q, sdi_q, falls, answering, speaker, due, selected, rise, fall, driving} <= '0;
      cs_n_q <= '1;
      changed <= 1;
      for (int part = 0; part < PARTS; part++) begin
        wake(part);
        {released[part], first[part]} <= '0;
      end
      for (int channel = 0; channel < 8 * PARTS; channel++) updates[channel] <= '0;
    end else begin
      changed <= 0;
      if (now == due) sdo <= sdo_next;
      if (cs_n != cs_n_q) begin
        cs_n_q <= cs_n;
        changed <= 1;
        for (int part = 0; part < PARTS; part++) if (cs_n[part] != cs_n_q[part]) select(part);
      end
      driving <= ~cs_n_q & ~quiet & ~silent;
      if (driving == '0) sdo <= 1;
      if (sclk != sclk_q || sdi != sdi_q) begin
        sclk_q <= sclk;
        sdi_q <= sdi;
        if (cs_n != '1) begin
          if (sclk && !sclk_q) begin
            rise <= now;
            if (answering && driving != '0) begin
              automatic logic [15:0] count = falls - first[speaker];
              sdo <= !(count < 24 && answer[speaker][5'(16'd23 - count)]);
              sdo_next <= count < 24 && answer[speaker][5'(16'd23 - count)];
              due <= now + DELAY - 1;
              if (CHECKS && count != 0 && now - fall < 4) report(int'(speaker), "SCLK low while answering", 35, fall);
            end
          end
          if (!sclk && sclk_q) begin
            fall <= now;
            frame <= {frame[22:0], sdi};
            falls <= falls + 1;
            if (CHECKS) begin
              automatic int part = int'(speaker);
              automatic logic slow = answering && driving != '0;
              for (int other = 0; other < PARTS; other++) if (!slow && !cs_n[other]) part = other;
              if (sdi != sdi_q) report(part, "SDI stable around SCLK fall", 5, now);
              if (now - selected < (slow ? 4 : 2)) report(part, "CS_n fall to SCLK fall", slow ? 32 : 13, selected);
              if (falls != first[part] && now - fall < (slow ? 9 : 2))
                report(part, "SCLK period", slow ? 83 : 20, fall);
              if (slow && now - rise < 4) report(part, "SCLK high while answering", 35, rise);
            end
          end
        end
      end
    end
  end
endmodule
