"""What `rmdlora bench` measures: figures from the simulated Verilog, and ratios of times taken side by side."""
