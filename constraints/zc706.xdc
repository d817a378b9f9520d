# made by rmdlora from configuration 'default'; do not edit
#
# ZC706 (xc7z045ffg900-2): the resistive-memory board on the low-pin-count FMC connector, banks 10 and 12, VADJ 2.5 V.
# HC595 and *_mux_* lines go through 2.5 -> 5 V translators; DAC and ADC lines are direct. Pulls hold the board safe
# before the fabric is configured: OE, INH and CS off, clocks and clears low. The ADCs' data lines are pulled up: high
# impedance must read as ones, so that a line stuck low is noticed.
#
# The fabric clock comes from the processor, whose IP constrains it (clk_fpga_0, 10.000 ns).

set_property -dict {PACKAGE_PIN AE13 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {adc_dclock}] ;# LPC G6 FMC_LPC_LA00_CC_P
set_property -dict {PACKAGE_PIN AF13 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {adc_cs_n}] ;# LPC G7 FMC_LPC_LA00_CC_N
set_property -dict {PACKAGE_PIN AE12 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[0]}] ;# LPC H7 FMC_LPC_LA02_P
set_property -dict {PACKAGE_PIN AF12 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[1]}] ;# LPC H8 FMC_LPC_LA02_N
set_property -dict {PACKAGE_PIN AG12 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[2]}] ;# LPC G9 FMC_LPC_LA03_P
set_property -dict {PACKAGE_PIN AH12 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[3]}] ;# LPC G10 FMC_LPC_LA03_N
set_property -dict {PACKAGE_PIN AJ15 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[4]}] ;# LPC H10 FMC_LPC_LA04_P
set_property -dict {PACKAGE_PIN AK15 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[5]}] ;# LPC H11 FMC_LPC_LA04_N
set_property -dict {PACKAGE_PIN AE16 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[6]}] ;# LPC D11 FMC_LPC_LA05_P
set_property -dict {PACKAGE_PIN AE15 IOSTANDARD LVCMOS25 PULLTYPE PULLUP} [get_ports {adc_dout[7]}] ;# LPC D12 FMC_LPC_LA05_N
set_property -dict {PACKAGE_PIN AF15 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {dac_sclk}] ;# LPC D8 FMC_LPC_LA01_CC_P
set_property -dict {PACKAGE_PIN AG15 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {dac_sdi}] ;# LPC D9 FMC_LPC_LA01_CC_N
set_property -dict {PACKAGE_PIN AB12 IOSTANDARD LVCMOS25} [get_ports {dac_sdo}] ;# LPC C10 FMC_LPC_LA06_P
set_property -dict {PACKAGE_PIN AC12 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {dac_cs_n[0]}] ;# LPC C11 FMC_LPC_LA06_N
set_property -dict {PACKAGE_PIN AA15 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {dac_cs_n[1]}] ;# LPC H13 FMC_LPC_LA07_P
set_property -dict {PACKAGE_PIN AA14 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {dac_cs_n[2]}] ;# LPC H14 FMC_LPC_LA07_N
set_property -dict {PACKAGE_PIN AD14 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {dac_cs_n[3]}] ;# LPC G12 FMC_LPC_LA08_P
set_property -dict {PACKAGE_PIN AC14 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {dac_cs_n[4]}] ;# LPC C14 FMC_LPC_LA10_P
set_property -dict {PACKAGE_PIN AH14 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {b1500_trig_out}] ;# LPC D14 FMC_LPC_LA09_P
set_property -dict {PACKAGE_PIN AH13 IOSTANDARD LVCMOS25 PULLTYPE PULLDOWN} [get_ports {b1500_trig_in}] ;# LPC D15 FMC_LPC_LA09_N
set_property -dict {PACKAGE_PIN AD13 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {xlat_oe_n}] ;# LPC G13 FMC_LPC_LA08_N
set_property -dict {PACKAGE_PIN AB27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {wl_ser}] ;# LPC D20 FMC_LPC_LA17_CC_P
set_property -dict {PACKAGE_PIN AC27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {wl_srclk}] ;# LPC D21 FMC_LPC_LA17_CC_N
set_property -dict {PACKAGE_PIN AE27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {wl_rclk}] ;# LPC C22 FMC_LPC_LA18_CC_P
set_property -dict {PACKAGE_PIN AF27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {wl_oe_n}] ;# LPC C23 FMC_LPC_LA18_CC_N
set_property -dict {PACKAGE_PIN AH26 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {wl_srclr_n}] ;# LPC H22 FMC_LPC_LA19_P
set_property -dict {PACKAGE_PIN AH27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {bl_ser}] ;# LPC H23 FMC_LPC_LA19_N
set_property -dict {PACKAGE_PIN AG26 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {bl_srclk}] ;# LPC G21 FMC_LPC_LA20_P
set_property -dict {PACKAGE_PIN AG27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {bl_rclk}] ;# LPC G22 FMC_LPC_LA20_N
set_property -dict {PACKAGE_PIN AH28 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {bl_oe_n}] ;# LPC H25 FMC_LPC_LA21_P
set_property -dict {PACKAGE_PIN AH29 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {bl_srclr_n}] ;# LPC H26 FMC_LPC_LA21_N
set_property -dict {PACKAGE_PIN AK27 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {sl_ser}] ;# LPC G24 FMC_LPC_LA22_P
set_property -dict {PACKAGE_PIN AK28 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {sl_srclk}] ;# LPC G25 FMC_LPC_LA22_N
set_property -dict {PACKAGE_PIN AJ26 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {sl_rclk}] ;# LPC D23 FMC_LPC_LA23_P
set_property -dict {PACKAGE_PIN AK26 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {sl_oe_n}] ;# LPC D24 FMC_LPC_LA23_N
set_property -dict {PACKAGE_PIN AF30 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLDOWN} [get_ports {sl_srclr_n}] ;# LPC H28 FMC_LPC_LA24_P
set_property -dict {PACKAGE_PIN AG30 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {wl_mux_a}] ;# LPC H29 FMC_LPC_LA24_N
set_property -dict {PACKAGE_PIN AF29 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {wl_mux_b}] ;# LPC G27 FMC_LPC_LA25_P
set_property -dict {PACKAGE_PIN AG29 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {adc_mux_inh}] ;# LPC G28 FMC_LPC_LA25_N
set_property -dict {PACKAGE_PIN AJ30 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {wl_mux_inh}] ;# LPC D26 FMC_LPC_LA26_P
set_property -dict {PACKAGE_PIN AK30 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {bl_mux_a}] ;# LPC D27 FMC_LPC_LA26_N
set_property -dict {PACKAGE_PIN AJ28 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {bl_mux_b}] ;# LPC C26 FMC_LPC_LA27_P
set_property -dict {PACKAGE_PIN AJ29 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {adc_mux_b}] ;# LPC C27 FMC_LPC_LA27_N
set_property -dict {PACKAGE_PIN AD25 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {bl_mux_inh}] ;# LPC H31 FMC_LPC_LA28_P
set_property -dict {PACKAGE_PIN AE26 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {sl_mux_a}] ;# LPC H32 FMC_LPC_LA28_N
set_property -dict {PACKAGE_PIN AE25 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {sl_mux_b}] ;# LPC G30 FMC_LPC_LA29_P
set_property -dict {PACKAGE_PIN AF25 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW} [get_ports {adc_mux_a}] ;# LPC G31 FMC_LPC_LA29_N
set_property -dict {PACKAGE_PIN AB29 IOSTANDARD LVCMOS25 DRIVE 8 SLEW SLOW PULLTYPE PULLUP} [get_ports {sl_mux_inh}] ;# LPC H34 FMC_LPC_LA30_P

# Every output is a flip-flop of the fabric clock; no part sees that clock, only edges that are ticks apart. What matters is
# the skew between outputs. The tightest is the DACs': SDI changes 20 ns from the SCLK edge that takes it and must hold
# 10 ns. So all outputs within 10 ns of the clock, which no later edge can tell apart.
set_max_delay -datapath_only 10 -from [get_clocks clk_fpga_0] -to [get_ports {adc_dclock adc_cs_n dac_sclk dac_sdi dac_cs_n[*] wl_ser wl_srclk wl_rclk wl_oe_n wl_srclr_n bl_ser bl_srclk bl_rclk bl_oe_n bl_srclr_n sl_ser sl_srclk sl_rclk sl_oe_n sl_srclr_n wl_mux_a wl_mux_b wl_mux_inh bl_mux_a bl_mux_b bl_mux_inh sl_mux_a sl_mux_b sl_mux_inh adc_mux_a adc_mux_b adc_mux_inh b1500_trig_out xlat_oe_n}]

# Every input meets a synchroniser of two flip-flops and is taken long after it settled (ADC data 42 ticks after DCLOCK
# falls, DAC data 10 after SCLK): when it arrives within a tick is of no consequence.
set_false_path -from [get_ports {adc_dout[*] dac_sdo b1500_trig_in}]
