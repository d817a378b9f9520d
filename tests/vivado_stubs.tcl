# Vivado's commands, as far as the generated Tcl uses them, for tclsh: nothing is built, everything named is checked.
# Whatever Vivado has and this file does not (a command, an option, a property, a pin of an IP) is an error.
#
#   tclsh vivado_stubs.tcl SCRIPT [ARGUMENTS]      prints what came of it; ends with an error at the first thing wrong

namespace eval stub {
  variable project {} files {} ports {} core {} cells {} bdports {} nets {} intfs {} addresses {} repo {} wrapped 0
  variable pins {} bounded {}
}

# Options of a command: {-flag 0|1} each, 1 where a value follows. Gives {flags dict, words list}.
proc stub::options {command words known} {
  set flags {}
  set plain {}
  while {[llength $words]} {
    set words [lassign $words word]
    if {[regexp {^-[a-z_]} $word]} {
      if {![dict exists $known $word]} { error "$command has no option $word" }
      if {[dict get $known $word]} {
        if {![llength $words]} { error "$command: $word needs a value" }
        set words [lassign $words value]
        dict set flags $word $value
      } else { dict set flags $word 1 }
    } else { lappend plain $word }
  }
  return [list $flags $plain]
}
proc stub::one {command words} {
  if {[llength $words] != 1} { error "$command takes one object, not [llength $words]: $words" }
  return [lindex $words 0]
}

# ---- Project and files

proc create_project {args} {
  lassign [stub::options create_project $args {-force 0 -part 1}] flags words
  if {[llength $words] != 2} { error "create_project takes a name and a folder" }
  if {[dict get $flags -part] ne "xc7z045ffg900-2"} { error "part [dict get $flags -part] is not the ZC706's" }
  set stub::project [lindex $words 0]
}
proc current_project {} { return project }
proc current_fileset {} { return fileset }
proc close_project {} { stub::read_constraints; stub::summary }
proc update_compile_order {args} { stub::options update_compile_order $args {-fileset 1} }
proc update_ip_catalog {} {
  if {![file isfile [file join $stub::repo component.stub]]} { error "no IP lies in $stub::repo" }
}
proc add_files {args} {
  lassign [stub::options add_files $args {-norecurse 0 -fileset 1}] flags words
  foreach file $words {
    if {![file isfile $file]} { error "file [file normalize $file] does not exist" }
    dict set stub::files [file tail $file] [file normalize $file]
    if {[file extension $file] eq ".v"} { stub::read_verilog $file }
  }
}
proc get_files {name} {
  if {$name eq "system.bd" && [dict exists $stub::files system.bd]} { return file:$name }
  if {![dict exists $stub::files $name]} { error "no file $name is in the project" }
  return file:$name
}
# Ports of the last module of a Verilog file: name {dir bits}
proc stub::read_verilog {file} {
  set handle [open $file]; set text [read $handle]; close $handle
  if {![regexp -indices {\nmodule rmdlora\(} "\n$text" place]} { error "$file has no module rmdlora" }
  set rest [string range "\n$text" [lindex $place 0] end]
  set rest [string range $rest 0 [string first "\nendmodule" $rest]]
  set stub::ports {}
  foreach {- dir - high name} [regexp -all -inline -line {^ +(input|output) (wire )?(?:\[(\d+):0\] )?(\w+) *;} $rest] {
    dict set stub::ports $name [list $dir [expr {$high eq "" ? 1 : $high + 1}]]
  }
}

# ---- Properties

set stub::properties {
  project {board_part ip_repo_paths} fileset {top} file {used_in}
  core {name version display_name description supported_families}
  bus {abstraction_type_vlnv bus_type_vlnv interface_mode slave_memory_map_ref} portmap {physical_name}
  parameter {value} block {base_address range width usage}
  register {address_offset size access description} field {bit_offset bit_width access description}
}
proc set_property {args} {
  lassign [stub::options set_property $args {-dict 1}] flags words
  if {[dict exists $flags -dict]} {
    set pairs [dict get $flags -dict]; set object [stub::one set_property $words]
  } else {
    if {[llength $words] != 3} { error "set_property takes a name, a value and an object: $words" }
    lassign $words name value object
    set pairs [list $name $value]
  }
  if {$object eq ""} { error "set_property met no object" }
  set kind [lindex [split $object :] 0]
  foreach {name value} $pairs {
    if {$kind eq "cell"} { stub::configure $object $name $value; continue }
    set name [string tolower $name]
    if {![dict exists $stub::properties $kind] || $name ni [dict get $stub::properties $kind]} {
      error "a $kind has no property $name"
    }
    stub::put $kind $object $name $value
  }
}
proc stub::put {kind object name value} {
  if {$name eq "top" && ![expr {$value eq "rmdlora" ? [llength $stub::ports] : $stub::wrapped}]} { error "no module $value" }
  if {$name eq "ip_repo_paths"} { set stub::repo $value }
  if {$name eq "board_part" && $value ne "xilinx.com:zc706:part0:1.4"} { error "no board $value" }
  if {$name eq "physical_name" && ![dict exists $stub::ports $value]} { error "the module has no port $value" }
  if {$name eq "used_in"} {
    foreach step $value { if {$step ni {synthesis implementation out_of_context}} { error "no step $step" } }
  }
  if {$name eq "access" && $value ni {read-only write-only read-write}} { error "no access $value" }
  if {$kind in {bus portmap parameter block register field core}} { dict set stub::core $object $name $value }
}
proc get_property {name object} {
  if {[string tolower $name] eq "name"} { return [lindex [split $object :] end] }
  if {$name eq "PROGRESS" && $object eq "run:impl_1"} { return "100%" }
  error "a [lindex [split $object :] 0] has no property $name to read"
}

# ---- IP packaging

namespace eval ipx {}
proc ipx::package_project {args} {
  lassign [stub::options ipx::package_project $args {-root_dir 1 -vendor 1 -library 1 -taxonomy 1 -import_files 0 -force 0}] flags words
  if {[llength $words]} { error "ipx::package_project takes no $words" }
  set stub::core [list root [dict get $flags -root_dir] vendor [dict get $flags -vendor] library [dict get $flags -library]]
  # guesses to be removed, as Vivado makes
  dict set stub::core bus:guessed {}
  dict set stub::core memorymap:guessed {}
}
proc ipx::current_core {} { return core }
proc stub::of {command words kind} {
  lassign [stub::options $command $words {-of_objects 1}] flags names
  set found [lsearch -all -inline [dict keys $stub::core] $kind:*]
  if {[llength $names]} {
    set found [lsearch -all -inline -exact $found $kind:[lindex $names 0]]
    if {![llength $found]} { error "$command finds no [lindex $names 0]" }
  }
  return $found
}
proc ipx::get_bus_interfaces {args} { stub::of ipx::get_bus_interfaces $args bus }
proc ipx::get_memory_maps {args} { stub::of ipx::get_memory_maps $args memorymap }
proc ipx::remove_bus_interface {name core} { dict unset stub::core bus:$name }
proc ipx::remove_memory_map {name core} { dict unset stub::core memorymap:$name }
proc stub::add {kind name parent} {
  set object $kind:[string map {core ""} $parent]:$name
  set object [string map {:: :} $object]
  if {[dict exists $stub::core $object]} { error "$object is there already" }
  dict set stub::core $object {}
  return $object
}
proc ipx::add_bus_interface {name core} { stub::add bus $name $core }
proc ipx::add_port_map {name bus} { stub::add portmap $name $bus }
proc ipx::add_bus_parameter {name bus} { stub::add parameter $name $bus }
proc ipx::add_memory_map {name core} { stub::add memorymap $name $core }
proc ipx::add_address_block {name map} { stub::add block $name $map }
proc ipx::add_register {name block} { stub::add register $name $block }
proc ipx::add_field {name register} { stub::add field $name $register }
proc ipx::create_xgui_files {core} {}
proc ipx::update_checksums {core} {}
proc stub::children {kind parent} {
  return [lsearch -all -inline -glob [dict keys $stub::core] $kind:$parent:*]
}
set stub::signals {
  aximm:1.0 {AWADDR in 26 AWPROT in 3 AWVALID in 1 AWREADY out 1 WDATA in 32 WSTRB in 4 WVALID in 1 WREADY out 1
    BRESP out 2 BVALID out 1 BREADY in 1 ARADDR in 26 ARPROT in 3 ARVALID in 1 ARREADY out 1 RDATA out 32 RRESP out 2
    RVALID out 1 RREADY in 1}
  axis:1.0 {TDATA in 0 TVALID in 1 TLAST in 1 TREADY out 1}
  clock:1.0 {CLK in 1} reset:1.0 {RST in 1} interrupt:1.0 {INTERRUPT in 1}
}
proc ipx::check_integrity {core} {
  set taken {}
  foreach bus [lsearch -all -inline [dict keys $stub::core] bus:*] {
    set type [lindex [split [dict get $stub::core $bus bus_type_vlnv] :] 2]:1.0
    if {![regexp {^xilinx.com:(interface|signal):\w+:1.0$} [dict get $stub::core $bus bus_type_vlnv]]} { error "no bus type of $bus" }
    set abstract [string map {_rtl ""} [dict get $stub::core $bus abstraction_type_vlnv]]
    if {$abstract ne [dict get $stub::core $bus bus_type_vlnv]} { error "$bus is of two types" }
    if {![dict exists $stub::signals $type]} { error "no interface $type" }
    set mode [dict get $stub::core $bus interface_mode]
    if {$mode ni {slave master}} { error "no side $mode" }
    set wanted [dict get $stub::signals $type]
    foreach {signal direction bits} $wanted {
      set map portmap:$bus:$signal
      if {![dict exists $stub::core $map physical_name]} { error "$bus has no $signal" }
      set port [dict get $stub::core $map physical_name]
      lassign [dict get $stub::ports $port] actual width
      set expected [expr {($direction eq "in") == ($mode eq "slave") ? "input" : "output"}]
      if {$actual ne $expected} { error "$port is an $actual, and $signal of a $mode an $expected" }
      if {$bits && $bits != $width} { error "$port has $width bits, and $signal $bits" }
      if {[dict exists $taken $port]} { error "$port is taken twice" }
      dict set taken $port 1
    }
    foreach map [stub::children portmap $bus] {
      if {[lindex [split $map :] end] ni $wanted} { error "$type has no [lindex [split $map :] end]" }
    }
  }
  foreach port [dict keys $stub::ports] {
    if {![dict exists $taken $port] && [string match *__* $port]} { error "$port is in no interface" }
  }
  set associated [split [dict get $stub::core parameter:bus:clk:ASSOCIATED_BUSIF value] :]
  foreach bus $associated { if {![dict exists $stub::core bus:$bus]} { error "the clock is associated with no $bus" } }
  foreach bus [lsearch -all -inline -regexp [dict keys $stub::core] {^bus:[sm]_axi}] {
    if {[string range $bus 4 end] ni $associated} { error "$bus has no clock" }
  }
  if {![dict exists $stub::core bus:[dict get $stub::core parameter:bus:clk:ASSOCIATED_RESET value]]} { error "no such reset" }
  if {[dict get $stub::core parameter:bus:rst:POLARITY value] ne "ACTIVE_HIGH"} { error "the reset is active high" }
  if {[dict get $stub::core parameter:bus:irq:SENSITIVITY value] ne "LEVEL_HIGH"} { error "the interrupt is a level" }
  set map [dict get $stub::core bus:s_axil slave_memory_map_ref]
  if {![dict exists $stub::core memorymap:$map]} { error "no memory map $map" }
  stub::check_registers block:memorymap:$map:registers
}
# Registers against the C header that lies beside: the same names at the same offsets, fields within and apart
proc stub::check_registers {block} {
  set range [dict get $stub::core $block range]
  if {$range != 1 << [lindex [dict get $stub::ports s_axil__awaddr] 1]} { error "range $range is not the port's" }
  set handle [open [file join [file dirname [dict get $stub::files rmdlora.v]] rmdlora_registers.h]]
  set header [read $handle]; close $handle
  set count 0
  foreach register [stub::children register $block] {
    set name [lindex [split $register :] end]
    set offset [dict get $stub::core $register address_offset]
    if {$offset % 4 || $offset >= $range} { error "$name lies at $offset" }
    if {[regexp -line "^#define RMDLORA_$name (0x\[0-9A-F\]+)u" $header - there]} {
    } elseif {[regexp {^(\w+)_(\d+)$} $name - base index] && [regexp -line "^#define RMDLORA_${base} (0x\[0-9A-F\]+)u" $header - there]} {
      set there [expr {$there + 4 * $index}]
    } else { error "no register $name" }
    if {$there != $offset} { error "$name lies at $offset, the header says $there" }
    set covered 0
    foreach field [stub::children field $register] {
      set bits [expr {((1 << [dict get $stub::core $field bit_width]) - 1) << [dict get $stub::core $field bit_offset]}]
      if {$bits & $covered || $bits >> 32} { error "$field overlaps or leaves its word" }
      set covered [expr {$covered | $bits}]
    }
    incr count
  }
  puts "registers $count"
}
proc ipx::save_core {core} {
  set root [dict get $stub::core root]
  file mkdir $root
  set handle [open [file join $root component.stub] w]
  set buses {}
  foreach bus [lsearch -all -inline [dict keys $stub::core] bus:*] {
    set map [dict get $stub::core $bus]
    set ports {}
    foreach port [stub::children portmap $bus] {
      lappend ports [lindex [split $port :] end] [dict get $stub::core $port physical_name]
    }
    dict set buses [string range $bus 4 end] [list [lindex [split [dict get $map bus_type_vlnv] :] 2] [dict get $map interface_mode] $ports]
  }
  set vlnv [dict get $stub::core vendor]:[dict get $stub::core library]:[dict get $stub::core core name]:[dict get $stub::core core version]
  puts $handle [list vlnv $vlnv ports $stub::ports buses $buses range [dict get $stub::core block:memorymap:s_axil:registers range]]
  close $handle
  puts "packaged $vlnv"
}

# ---- Block design: the IPs, with their pins {direction bits} and interfaces {side type bits}, as they are configured

set stub::known {
  xilinx.com:ip:processing_system7:5.5 {PCW_FPGA0_PERIPHERAL_FREQMHZ PCW_USE_M_AXI_GP0 PCW_USE_S_AXI_HP0
    PCW_USE_FABRIC_INTERRUPT PCW_IRQ_F2P_INTR}
  xilinx.com:ip:proc_sys_reset:5.0 {}
  xilinx.com:ip:axi_dma:7.1 {c_include_sg c_sg_include_stscntrl_strm c_sg_length_width c_include_mm2s c_include_s2mm
    c_m_axis_mm2s_tdata_width c_m_axi_mm2s_data_width c_mm2s_burst_size c_s_axis_s2mm_tdata_width
    c_m_axi_s2mm_data_width c_s2mm_burst_size}
  xilinx.com:ip:smartconnect:1.0 {NUM_SI NUM_MI}
  xilinx.com:ip:xlconcat:2.1 {NUM_PORTS}
}
proc create_bd_design {name} { dict set stub::files $name.bd {} }
proc create_bd_cell {args} {
  lassign [stub::options create_bd_cell $args {-type 1 -vlnv 1}] flags words
  set name [stub::one create_bd_cell $words]
  set vlnv [dict get $flags -vlnv]
  if {![dict exists $stub::known $vlnv]} {
    set handle [open [file join $stub::repo component.stub]]; set component [read $handle]; close $handle
    if {[dict get $component vlnv] ne $vlnv} { error "the catalogue has no $vlnv" }
    dict set stub::cells $name component $component
  }
  if {[dict exists $stub::cells $name vlnv]} { error "a cell $name is there already" }
  dict set stub::cells $name vlnv $vlnv
  dict set stub::cells $name set {}
}
proc stub::configure {object name value} {
  set cell [string range $object 5 end]
  set vlnv [dict get $stub::cells $cell vlnv]
  if {![regexp {^CONFIG\.(\w+)$} $name - parameter]} { error "a cell has no property $name" }
  if {![dict exists $stub::known $vlnv] || $parameter ni [dict get $stub::known $vlnv]} { error "$vlnv has no parameter $parameter" }
  if {[string match *_tdata_width $parameter] && $value ni {8 16 32 64 128 256 512 1024}} { error "$parameter cannot be $value" }
  if {[regexp {m_axi_.*data_width} $parameter] && $value ni {32 64 128 256 512 1024}} { error "$parameter cannot be $value" }
  if {$parameter eq "c_sg_length_width" && ($value < 8 || $value > 26)} { error "$parameter cannot be $value" }
  if {$parameter eq "PCW_FPGA0_PERIPHERAL_FREQMHZ" && !($value > 0 && $value <= 250)} { error "$parameter cannot be $value" }
  if {$parameter in {NUM_SI NUM_MI} && ($value < 1 || $value > 16)} { error "$parameter cannot be $value" }
  dict set stub::cells $cell set $parameter $value
}
proc stub::value {cell parameter default} {
  if {[dict exists $stub::cells $cell set $parameter]} { return [dict get $stub::cells $cell set $parameter] }
  return $default
}
proc stub::pins_of {cell} {
  switch -glob [dict get $stub::cells $cell vlnv] {
    *:processing_system7:* {
      set pins {FCLK_CLK0 {output 1} FCLK_RESET0_N {output 1}}
      if {[value $cell PCW_USE_M_AXI_GP0 0]} { dict set pins M_AXI_GP0_ACLK {input 1} }
      if {[value $cell PCW_USE_S_AXI_HP0 0]} { dict set pins S_AXI_HP0_ACLK {input 1} }
      if {[value $cell PCW_USE_FABRIC_INTERRUPT 0] && [value $cell PCW_IRQ_F2P_INTR 0]} { dict set pins IRQ_F2P {input any} }
      return $pins
    }
    *:proc_sys_reset:* {
      return {slowest_sync_clk {input 1} ext_reset_in {input 1} aux_reset_in {optional 1} mb_debug_sys_rst {optional 1}
        dcm_locked {optional 1} mb_reset {output 1} bus_struct_reset {output 1} peripheral_reset {output 1}
        interconnect_aresetn {output 1} peripheral_aresetn {output 1}}
    }
    *:axi_dma:* {
      set pins {s_axi_lite_aclk {input 1} axi_resetn {input 1}}
      foreach way {mm2s s2mm} {
        if {[value $cell c_include_$way 1]} { dict set pins m_axi_${way}_aclk {input 1}; dict set pins ${way}_introut {output 1} }
      }
      if {[value $cell c_include_sg 1]} { dict set pins m_axi_sg_aclk {input 1} }
      return $pins
    }
    *:smartconnect:* { return {aclk {input 1} aresetn {input 1}} }
    *:xlconcat:* {
      set pins {}
      set count [value $cell NUM_PORTS 2]
      for {set i 0} {$i < $count} {incr i} { dict set pins In$i {input 1} }
      dict set pins dout [list output $count]
      return $pins
    }
    default {
      set component [dict get $stub::cells $cell component]
      set pins [dict get $component ports]
      dict for {bus described} [dict get $component buses] {
        if {[lindex $described 0] in {aximm axis}} {
          foreach {- port} [lindex $described 2] { dict unset pins $port }
        }
      }
      dict set pins running {spare 1}
      return $pins
    }
  }
}
proc stub::intfs_of {cell} {
  set intfs {}
  switch -glob [dict get $stub::cells $cell vlnv] {
    *:processing_system7:* {
      if {[value $cell PCW_USE_M_AXI_GP0 0]} { dict set intfs M_AXI_GP0 {master aximm 0} }
      if {[value $cell PCW_USE_S_AXI_HP0 0]} { dict set intfs S_AXI_HP0 {slave aximm 0} }
    }
    *:axi_dma:* {
      dict set intfs S_AXI_LITE {slave aximm 0}
      if {[value $cell c_include_mm2s 1]} {
        dict set intfs M_AXI_MM2S {master aximm 0}
        dict set intfs M_AXIS_MM2S [list master axis [value $cell c_m_axis_mm2s_tdata_width 32]]
        if {[value $cell c_m_axi_mm2s_data_width 32] < [value $cell c_m_axis_mm2s_tdata_width 32]} { error "$cell's memory port is narrower than its stream" }
      }
      if {[value $cell c_include_s2mm 1]} {
        dict set intfs M_AXI_S2MM {master aximm 0}
        dict set intfs S_AXIS_S2MM [list slave axis [value $cell c_s_axis_s2mm_tdata_width 32]]
        if {[value $cell c_m_axi_s2mm_data_width 32] < [value $cell c_s_axis_s2mm_tdata_width 32]} { error "$cell's memory port is narrower than its stream" }
      }
      if {[value $cell c_include_sg 1]} { dict set intfs M_AXI_SG {master aximm 0} }
    }
    *:smartconnect:* {
      for {set i 0} {$i < [value $cell NUM_SI 1]} {incr i} { dict set intfs [format S%02d_AXI $i] {slave aximm 0} }
      for {set i 0} {$i < [value $cell NUM_MI 1]} {incr i} { dict set intfs [format M%02d_AXI $i] {master aximm 0} }
    }
    *:proc_sys_reset:* - *:xlconcat:* {}
    default {
      set component [dict get $stub::cells $cell component]
      dict for {bus described} [dict get $component buses] {
        lassign $described type mode ports
        if {$type ni {aximm axis}} continue
        set width [expr {$type eq "axis" ? [lindex [dict get $component ports [dict get $ports TDATA]] 1] : 0}]
        dict set intfs $bus [list $mode $type $width]
      }
    }
  }
  return $intfs
}
proc apply_bd_automation {args} {
  lassign [stub::options apply_bd_automation $args {-rule 1 -config 1}] flags words
  if {[dict get $flags -rule] ne "xilinx.com:bd_rule:processing_system7"} { error "no rule [dict get $flags -rule]" }
  dict for {key value} [dict get $flags -config] {
    if {$key ni {make_external apply_board_preset Master Slave}} { error "the rule has no $key" }
  }
  stub::one apply_bd_automation $words
}
proc get_bd_cells {name} {
  if {![dict exists $stub::cells $name]} { error "no cell $name" }
  return cell:$name
}
proc stub::part_of {command path known} {
  lassign [split $path /] cell name
  if {![dict exists $stub::cells $cell]} { error "$command: no cell $cell" }
  set found [$known $cell]
  if {![dict exists $found $name]} { error "$command: $cell has no $name" }
  return [dict get $found $name]
}
proc get_bd_pins {path} { stub::part_of get_bd_pins $path stub::pins_of; return pin:$path }
proc get_bd_intf_pins {path} { stub::part_of get_bd_intf_pins $path stub::intfs_of; return intf:$path }
proc create_bd_port {args} {
  lassign [stub::options create_bd_port $args {-dir 1 -from 1 -to 1}] flags words
  set name [stub::one create_bd_port $words]
  if {[dict get $flags -dir] ni {I O}} { error "no direction [dict get $flags -dir]" }
  set bits [expr {[dict exists $flags -from] ? [dict get $flags -from] - [dict get $flags -to] + 1 : 1}]
  dict set stub::bdports $name [list [dict get $flags -dir] $bits]
}
proc get_bd_ports {name} {
  if {![dict exists $stub::bdports $name]} { error "no port $name" }
  return port:$name
}
proc connect_bd_net {args} {
  set drivers 0
  set widths {}
  foreach object $args {
    if {[dict exists $stub::nets $object]} { error "$object is connected already" }
    if {[string match pin:* $object]} {
      lassign [stub::part_of connect_bd_net [string range $object 4 end] stub::pins_of] direction bits
    } elseif {[string match port:* $object]} {
      lassign [dict get $stub::bdports [string range $object 5 end]] direction bits
      set direction [expr {$direction eq "I" ? "output" : "input"}]
    } else { error "connect_bd_net takes pins and ports, not $object" }
    if {$direction eq "output"} { incr drivers }
    if {$bits ne "any"} { lappend widths $bits }
  }
  if {$drivers != 1} { error "a net needs one driver, not $drivers: $args" }
  if {[llength [lsort -unique $widths]] != 1} { error "a net has one width, not $widths: $args" }
  foreach object $args { dict set stub::nets $object [lindex $args 0] }
}
proc connect_bd_intf_net {args} {
  if {[llength $args] != 2} { error "connect_bd_intf_net takes two interfaces" }
  set sides {}
  foreach object $args {
    if {![string match intf:* $object]} { error "connect_bd_intf_net takes interfaces, not $object" }
    if {[dict exists $stub::intfs $object]} { error "$object is connected already" }
    lappend sides [stub::part_of connect_bd_intf_net [string range $object 5 end] stub::intfs_of]
  }
  lassign $sides one other
  if {[lindex $one 0] eq [lindex $other 0]} { error "two [lindex $one 0]s meet: $args" }
  if {[lindex $one 1] ne [lindex $other 1]} { error "a [lindex $one 1] meets a [lindex $other 1]: $args" }
  if {[lindex $one 2] != [lindex $other 2]} { error "[lindex $one 2] bits meet [lindex $other 2]: $args" }
  foreach object $args { dict set stub::intfs $object $args }
}
proc stub::spaces {} {
  set spaces {ps/Data 1}
  dict for {cell described} $stub::cells {
    if {[string match *:axi_dma:* [dict get $described vlnv]]} {
      foreach way {mm2s s2mm} { if {[value $cell c_include_$way 1]} { dict set spaces $cell/Data_[string toupper $way] 1 } }
    }
  }
  return $spaces
}
proc stub::segments {} {
  set segments {ps/S_AXI_HP0/HP0_DDR_LOWOCM 0x40000000}
  dict for {cell described} $stub::cells {
    if {[string match *:axi_dma:* [dict get $described vlnv]]} { dict set segments $cell/S_AXI_LITE/Reg 0x10000 }
    if {[dict exists $described component]} { dict set segments $cell/s_axil/registers [dict get $described component range] }
  }
  return $segments
}
proc get_bd_addr_spaces {name} {
  if {![dict exists [stub::spaces] $name]} { error "no address space $name" }
  return space:$name
}
proc get_bd_addr_segs {name} {
  if {![dict exists [stub::segments] $name]} { error "no address segment $name" }
  return segment:$name
}
proc assign_bd_address {args} {
  lassign [stub::options assign_bd_address $args {-offset 1 -range 1 -target_address_space 1 -force 0}] flags words
  set segment [string range [stub::one assign_bd_address $words] 8 end]
  set space [string range [dict get $flags -target_address_space] 6 end]
  set offset [expr {[dict get $flags -offset]}]
  set range [expr {[dict get $flags -range]}]
  if {$range & ($range - 1) || $offset % $range} { error "$segment: an offset is a multiple of its range, a power of two" }
  if {$range < [dict get [stub::segments] $segment]} { error "$segment needs [dict get [stub::segments] $segment] bytes, not $range" }
  if {$space eq "ps/Data" && ($offset < 0x40000000 || $offset + $range > 0x80000000)} { error "$segment lies outside of M_AXI_GP0" }
  dict for {key place} $stub::addresses {
    lassign $key other taken
    lassign $place from size
    if {$other eq $space && $offset < $from + $size && $from < $offset + $range} { error "$segment overlaps $taken" }
  }
  dict set stub::addresses [list $space $segment] [list $offset $range]
}
proc validate_bd_design {} {
  dict for {cell described} $stub::cells {
    dict for {pin kind} [stub::pins_of $cell] {
      if {[lindex $kind 0] eq "input" && ![dict exists $stub::nets pin:$cell/$pin]} { error "$cell/$pin is not connected" }
    }
    dict for {intf kind} [stub::intfs_of $cell] {
      if {![dict exists $stub::intfs intf:$cell/$intf]} { error "$cell/$intf is not connected" }
    }
    if {[dict exists $described component]} {
      dict for {pin kind} [stub::pins_of $cell] {
        if {[lindex $kind 0] eq "output" && ![dict exists $stub::nets pin:$cell/$pin]} { error "$cell/$pin is not connected" }
      }
      if {[dict get $stub::nets pin:$cell/rst] ne "pin:reset/peripheral_reset"} { error "$cell/rst is active high" }
    }
  }
  foreach port [dict keys $stub::bdports] { if {![dict exists $stub::nets port:$port]} { error "port $port is not connected" } }
  set assigned [lmap key [dict keys $stub::addresses] {lindex $key 1}]
  foreach segment [dict keys [stub::segments]] { if {$segment ni $assigned} { error "$segment has no address" } }
  set reached [lmap key [dict keys $stub::addresses] {lindex $key 0}]
  foreach space [dict keys [stub::spaces]] { if {$space ni $reached} { error "$space reaches nothing" } }
  set stub::validated 1
}
proc save_bd_design {} { if {![info exists stub::validated]} { error "the design was not validated" } }
proc make_wrapper {args} {
  lassign [stub::options make_wrapper $args {-files 1 -top 0 -import 0}] flags words
  set stub::wrapped 1
}

# ---- Runs

proc launch_runs {args} {
  lassign [stub::options launch_runs $args {-to_step 1 -jobs 1}] flags words
  if {[dict get $flags -to_step] ne "write_bitstream"} { error "no step [dict get $flags -to_step]" }
  get_runs [stub::one launch_runs $words]
}
proc get_runs {name} { if {$name ne "impl_1"} { error "no run $name" }; return run:$name }
proc wait_on_run {name} { get_runs $name }
proc open_run {name} { get_runs $name; set stub::opened 1 }
proc report_timing_summary {args} { stub::options report_timing_summary $args {-file 1} }
proc report_utilization {args} { stub::options report_utilization $args {-file 1} }
proc write_hw_platform {args} {
  lassign [stub::options write_hw_platform $args {-fixed 0 -include_bit 0 -force 0 -file 1}] flags words
  puts "wrote [file tail [dict get $flags -file]]"
}

# ---- Constraints, in an interpreter that has their commands alone

# The FMC LPC connector's LA pins: ADI's zc706 constraints and migen's zc706.py agree on all 68
set stub::connector {AE13 AF13 AF15 AG15 AE12 AF12 AG12 AH12 AJ15 AK15 AE16 AE15 AB12 AC12 AA15 AA14 AD14 AD13 AH14 AH13
  AC14 AC13 AJ16 AK16 AD16 AD15 AH17 AH16 AF18 AF17 AB15 AB14 AE18 AE17 AB27 AC27 AE27 AF27 AH26 AH27 AG26 AG27 AH28 AH29
  AK27 AK28 AJ26 AK26 AF30 AG30 AF29 AG29 AJ30 AK30 AJ28 AJ29 AD25 AE26 AE25 AF25 AB29 AB30 AC29 AD29 Y26 Y27 Y30 AA30}
proc stub::top_bits {} {
  set bits {}
  set ports [expr {$stub::wrapped ? $stub::bdports : $stub::ports}]
  dict for {name described} $ports {
    lassign $described direction width
    set direction [expr {$direction in {I input} ? "in" : "out"}]
    if {$width == 1} { dict set bits $name $direction }
    for {set i 0} {$width > 1 && $i < $width} {incr i} { dict set bits "$name\[$i\]" $direction }
  }
  return $bits
}
proc stub::get_ports {patterns} {
  set found {}
  foreach pattern $patterns {
    set matched [lsearch -all -inline [dict keys [stub::top_bits]] [string map {[ \\[ ] \\]} $pattern]]
    if {![llength $matched]} { error "no port $pattern" }
    lappend found {*}$matched
  }
  return $found
}
proc stub::pin_property {args} {
  lassign [stub::options set_property $args {-dict 1}] flags words
  set bit [stub::one get_ports [stub::one set_property $words]]
  dict for {name value} [dict get $flags -dict] {
    switch $name {
      PACKAGE_PIN {
        if {$value ni $stub::connector} { error "$value is no pin of the connector" }
        if {[dict exists $stub::pins $value]} { error "$value has [dict get $stub::pins $value] already" }
        dict set stub::pins $value $bit
      }
      IOSTANDARD { if {$value ne "LVCMOS25"} { error "the bank has no $value" } }
      DRIVE { if {$value ni {4 8 12 16}} { error "no DRIVE $value" } }
      SLEW { if {$value ni {SLOW FAST}} { error "no SLEW $value" } }
      PULLTYPE { if {$value ni {PULLUP PULLDOWN KEEPER NONE}} { error "no PULLTYPE $value" } }
      default { error "a port has no property $name" }
    }
  }
  if {![dict exists [dict get $flags -dict] PACKAGE_PIN] || ![dict exists [dict get $flags -dict] IOSTANDARD]} { error "$bit needs a pin and a standard" }
}
proc stub::get_clocks {name} { if {$name ne "clk_fpga_0"} { error "no clock $name" }; return clock:$name }
proc stub::bound {command args} {
  lassign [stub::options $command $args {-datapath_only 0 -from 1 -to 1}] flags words
  if {$command eq "set_max_delay" && !([stub::one $command $words] > 0)} { error "a delay is above 0, not $words" }
  foreach {end direction} {-to out -from in} {
    if {[dict exists $flags $end] && ![string match clock:* [dict get $flags $end]]} {
      foreach bit [dict get $flags $end] {
        if {[dict get [stub::top_bits] $bit] ne $direction} { error "$bit is no end of such a path" }
        dict set stub::bounded $bit 1
      }
    }
  }
}
proc stub::create_clock {args} {
  lassign [stub::options create_clock $args {-period 1 -name 1}] flags words
  if {[stub::one create_clock $words] ne "clk" || !([dict get $flags -period] > 0)} { error "no clock there" }
}
proc stub::read_constraints {} {
  dict for {name path} $stub::files {
    if {[file extension $name] ne ".xdc"} continue
    set inside [interp create]
    # XDC is no script: these commands, lists and comments
    foreach command [$inside eval info commands] { if {$command ni {list rename info}} { $inside hide $command } }
    $inside alias get_ports stub::get_ports
    $inside alias get_clocks stub::get_clocks
    $inside alias set_property stub::pin_property
    $inside alias set_max_delay stub::bound set_max_delay
    $inside alias set_false_path stub::bound set_false_path
    $inside alias create_clock stub::create_clock
    set handle [open $path]; set text [read $handle]; close $handle
    $inside eval $text
  }
  if {$stub::wrapped} {
    foreach bit [dict keys [stub::top_bits]] {
      if {$bit ni [dict values $stub::pins]} { error "$bit has no package pin" }
      if {![dict exists $stub::bounded $bit]} { error "nothing bounds the timing of $bit" }
    }
  }
}
proc stub::summary {} {
  dict for {key place} $stub::addresses {
    lassign $key space segment
    puts [format "address %s %s 0x%08X 0x%08X" $space $segment {*}$place]
  }
  puts "pins [dict size $stub::pins]"
  puts "closed $stub::project"
}

if {$argc} {
  set stub::script [lindex $argv 0]
  set argv [lrange $argv 1 end]
  if {[catch {source $stub::script} stub::message]} {
    puts stderr "[file tail $stub::script]: $stub::message"
    exit 1
  }
}
