"""The demonstration: its steps, its table, its report, and that it sees what is wrong."""

import dataclasses
import functools
import json
import types

import numpy as np
import pytest
import torch
from blobs import draw_blobs
from rmdlora.cosim import demo
from rmdlora.cosim.board import Board
from rmdlora.cosim.demo_page import write_report
from rmdlora.cosim.findings import Findings, LayerRow
from rmdlora.cosim.hybrid import BoardRead, RtlLayers, first_difference, program_board
from rmdlora.cosim.native import NativeLane
from rmdlora.cosim.transport import LaneFailure
from rmdlora.gen.driver import Driver
from rmdlora.golden import lora
from rmdlora.golden.face import prepare_task
from rmdlora.golden.hybrid import OracleLayers, map_network
from rmdlora.golden.mapping import map_weights
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue


class Library(types.SimpleNamespace):
    """What a simulation's library offers of the board: it takes the array, and can have rules broken."""

    def __init__(self, broken=()):
        self.broken = list(broken)

        def configure(_):
            return 0

        def count():
            return len(self.broken)

        def text(index, buffer, _):
            if index >= len(self.broken):
                return -1
            buffer.value = self.broken[index].encode()
            return 0

        super().__init__(rmd_array_config=configure, rmd_fault_clear=lambda: None, rmd_violation_count=count,
                         rmd_violation_text=text)


class Lane:
    """A lane that counts clocks; `Chip` does the work."""

    library = None

    def __init__(self, configuration, board):
        assert board
        self.library, self.cycles, self.running_clocks = Library(), 0, 0


class Chip:
    """A stand-in for the driver: the numpy board read as it reads itself, the oracle's LoRA unit, and counters."""

    wrong = None        # (number of the forward, what to do to y)
    extra_reads = 0
    violated = ()

    def __init__(self, lane, configuration):
        self.lane, self.configuration, self.lanes = lane, configuration, configuration.lora
        self.memory, self.gains, self.forwards = {}, {}, 0
        self.counts = dict.fromkeys(("forward", "conversions", "tile_reads", "frames", "pulses"), 0)
        lane.library.broken.extend(self.violated)

    def wait_board(self):
        """Up at once."""

    def clear_counters(self):
        self.counts = dict.fromkeys(self.counts, 0)

    def counters(self):
        return dict(self.counts)

    def load_adapter(self, a, b, base):
        self.memory[base] = a, b
        return Place(a.shape[1], b.shape[0], a.shape[0], base)

    def set_calibration(self, gain, offset, base):
        self.gains[base] = gain, offset

    def forward(self, layer, x, shifts, crossbar):
        assert crossbar
        board = self.lane.library.attached_board
        c = board.read(board.place(layer.inputs, layer.outputs, layer.tile), x)
        a, b = self.memory[layer.adapter]
        gain, offset = (values[:layer.outputs] for values in self.gains[layer.calibration])
        active = np.array([layer.active >> lane & 1 for lane in range(layer.rank)], dtype=bool)
        unit = lora.Layer(*map(torch.from_numpy, (a, b, gain, offset, active)),
                          shifts=lora.Shifts(p=shifts.p, u=shifts.u, w=shifts.w), formats=self.configuration.formats)
        y = lora.forward(unit, torch.from_numpy(x), torch.from_numpy(c))[0].numpy()
        if self.wrong and self.wrong[0] == self.forwards:
            self.wrong[1](y)
        self.forwards += 1
        tiles = board.place(layer.inputs, layer.outputs, layer.tile).tiles.size
        self.counts["forward"] += 1000
        self.lane.running_clocks += 1000
        self.lane.cycles += 1100
        self.counts["tile_reads"] += len(x) * tiles + self.extra_reads
        self.counts["conversions"] += 4 * len(x) * tiles
        self.shape = y.shape
        return y

    def clocks(self, stream):
        return np.full(self.shape, self.lane.cycles)


@dataclasses.dataclass(frozen=True)
class Place:
    """As `gen.driver.Layer`."""

    inputs: int
    outputs: int
    rank: int
    adapter: int
    calibration: int = 0
    tile: int = 0
    active: int | None = None


def pictures(people=5, each=10):
    """Pictures that tell their person from afar, from a source that names itself."""
    return draw_blobs(people, each, 7, "blobs drawn for a test", ("no faces in a test",))


@pytest.fixture
def quick(monkeypatch):
    """The demonstration on a stand-in for the chip, with little to learn; gives a fresh class to break."""
    chip = type("Broken", (Chip,), {})
    monkeypatch.setattr(demo, "load_pictures", lambda identities: pictures())
    monkeypatch.setattr(demo, "EPOCHS", 40)
    monkeypatch.setattr(demo, "prepare_task", functools.partial(prepare_task, copies=1))
    monkeypatch.setattr(demo, "NativeLane", Lane)
    monkeypatch.setattr(demo, "Driver", chip)
    monkeypatch.setattr(demo, "verilog_text", lambda configuration: "module rmdlora;\nendmodule\n")
    return chip


@pytest.mark.parametrize("device", ["ideal", "taox"])
def test_the_demonstration_compares_every_layer_and_writes_a_report_that_stands_alone(quick, device, tmp_path, capsys):
    assert demo.main(["--device", device, "--images", "2", "--out", str(tmp_path / "demo")]) == 0
    said = capsys.readouterr().out
    assert "data: blobs drawn for a test" in said and "passed over: no faces in a test" in said
    assert "agreed: every code equals the oracle's" in said and "0 programming pulses" in said
    numbers = json.loads((tmp_path / "demo" / "report.json").read_text(encoding="utf-8"))
    assert numbers["codes_differing"] == 0 and numbers["rm_writes"] == 0 and numbers["device"] == device
    assert [row["name"] for row in numbers["layers"]] == ["patch", *(
        f"block{block}_mlp{mlp}" for block in (0, 1) for mlp in (1, 2, 3, 4)), "out"]
    # two pictures with and without adapter, and the first one's sums: five passes of 281 tile reads
    assert numbers["tile_reads"] == sum(row["reads"] for row in numbers["layers"]) == 5 * 281
    for row in numbers["layers"]:
        assert row["compared"] == row["vectors"] * row["outputs"] > 0
    assert numbers["integer_accuracy_before"] > 0.9
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 7 and "blobs drawn for a test" in page and "codes are equal" in page
    for outside in ("src=\"http", "<link", "<script", "@import", "/tmp/"):
        assert outside not in page, f"the report must need nothing else, not {outside}"
    ids = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids)), "drawings on one page must not share an id"


def test_one_wrong_code_of_one_layer_is_found_named_and_ends_in_status_1(quick, tmp_path, capsys):
    def flip(y):
        y[3, 1] ^= 1

    quick.wrong = (4, flip)     # the fifth layer of the first picture
    assert demo.main(["--images", "1", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "differs: y of block0_mlp4[3, 1] is " in said and "at clock " in said and "agreed" not in said
    numbers = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert numbers["codes_differing"] == 1
    assert [row["name"] for row in numbers["layers"] if row["differing"]] == ["block0_mlp4"]
    assert "codes differ" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_wrong_crossbar_sum_is_found_where_the_sums_are_read(quick, tmp_path, capsys):
    def shift(y):
        y += 1

    quick.wrong = (10, shift)   # after the ten layers of the first picture: the patch layer's sums
    assert demo.main(["--images", "1", "--out", str(tmp_path)]) == 1
    assert "differs: c of patch[0, 0] is " in capsys.readouterr().out


def test_a_wrong_count_and_a_broken_rule_of_the_board_end_in_status_1(quick, tmp_path, capsys):
    quick.extra_reads = 1
    quick.violated = ("ADS8324 0: DCLOCK high 100 ns, at least 200 ns",)
    assert demo.main(["--images", "1", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "tile reads of patch, not 32" in said and "1 data-sheet rules of the board were broken" in said


def test_a_chip_that_does_not_get_to_its_end_ends_in_status_1(quick, tmp_path, capsys):
    def stuck(_):
        raise LaneFailure("the design must come to rest within 100 clocks, not be stuck")

    quick.wrong = (2, stuck)
    assert demo.main(["--images", "1", "--out", str(tmp_path)]) == 1
    assert "differs: the RTL did not get to its end: the design must come to rest" in capsys.readouterr().out
    assert not list(tmp_path.iterdir()), "no report of a run that did not end"


def test_options_that_cannot_be_are_refused_in_one_line(tmp_path):
    for words, rule in ((["--device", "gold"], "invalid choice: 'gold'"),
                        (["--images", "0"], "--images must be an integer of 1"), (["--seed", "-1"], "--seed must be"),
                        (["--config", "nowhere"], "configuration must be a TOML file or one of")):
        with pytest.raises(RefusedValue, match=rule):
            demo.main([*words, "--out", str(tmp_path)])
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(RefusedValue, match="--out must be a folder, not the file"):
        demo.main(["--out", str(file)])


def test_the_person_to_forget_is_shown_first_and_then_one_of_each():
    identity = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    assert demo.choose_pictures(identity, 7) == [4, 0, 2, 6, 8, 5, 1]
    assert demo.choose_pictures(identity, 99) == [4, 0, 2, 6, 8, 5, 1, 3, 7, 9]


def test_the_first_difference_is_named_with_its_index_values_and_clock():
    given, wanted = np.zeros((3, 2), int), np.zeros((3, 2), int)
    assert first_difference("y", given, wanted) == (0, None)
    given[1, 1], given[2, 0] = 7, 1
    clocks = np.arange(6).reshape(3, 2)
    assert first_difference("y", given, wanted, clocks) == (
        2, "y[1, 1] is 7 from the RTL, 0 from the oracle, at clock 3 since reset")


def test_the_oracle_reads_the_board_as_the_board_reads_itself_noise_included():
    face = load_configuration("face")
    draw = np.random.default_rng(9)
    for preset in ("ideal", "taox"):
        configuration = dataclasses.replace(face, device=dataclasses.replace(face.device, preset=preset, seed=5))
        ours, theirs = Board(configuration, 8), Board(configuration, 8)
        for inputs, outputs, tile in ((40, 20, 0), (32, 16, 4)):
            weights = draw.normal(size=(outputs, inputs))
            placement = theirs.load(weights, tile)
            cells = program_board(ours)(map_weights(weights, configuration), tile)
            for _ in range(2):      # noise goes on from read to read
                x = draw.integers(-128, 128, (5, inputs))
                assert np.array_equal(BoardRead(ours)(cells, x, outputs, tile), theirs.read(placement, x))
            assert np.array_equal(ours.array.events, theirs.array.events)


class Pair(torch.nn.Module):
    """Two layers, the second with an adapter: the smallest hybrid network."""

    lora_scale = 2.0

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(3)
        self.weights = torch.nn.ParameterDict([("one", torch.nn.Parameter(torch.randn(20, 40, generator=draw))),
                                               ("two", torch.nn.Parameter(torch.randn(5, 20, generator=draw)))])
        self.adapters = torch.nn.ModuleDict({"slot": torch.nn.ParameterDict(
            {"a": torch.randn(3, 20, generator=draw), "b": torch.randn(5, 3, generator=draw)})})
        self.active = ("slot",)

    def adapter(self, name, slots=None):
        part = self.adapters["slot"]
        return (part["a"], part["b"]) if name == "two" and (slots is None or "slot" in slots) else None

    def linear(self, name, x):
        y = x @ self.weights[name].T
        pair = self.adapter(name, self.active)
        return y if pair is None else y + self.lora_scale * x @ pair[0].T @ pair[1].T

    def forward(self, x, layer=None):
        layer = layer or self.linear
        return layer("two", torch.relu(layer("one", x)))


@pytest.mark.parametrize("preset", ["ideal", "taox"])
def test_a_hybrid_network_at_the_pins_gives_the_oracles_codes(preset):
    tiny = load_configuration("tiny")
    configuration = dataclasses.replace(tiny, device=dataclasses.replace(tiny.device, preset=preset, seed=2))
    model, boards = Pair(), [Board(configuration) for _ in range(3)]
    inputs = torch.randn(16, 40, generator=torch.Generator().manual_seed(4))
    network = map_network(model, inputs, configuration, BoardRead(boards[0]),
                          lambda targets, tile: [program_board(board)(targets, tile) for board in boards][-1])
    lane = NativeLane(tiny, board=True)
    boards[1].attach(lane.library)
    driver = Driver(lane, tiny)
    driver.wait_board()
    rtl, oracle = RtlLayers(driver, network), OracleLayers(configuration, BoardRead(boards[2]))
    rtl.load()
    for slots in (("slot",), ()):
        given, runs = network.run(inputs[:2], rtl, slots)
        wanted, expected = network.run(inputs[:2], oracle, slots)
        for run, other in zip(runs, expected, strict=True):
            assert np.array_equal(run.y, other.y), first_difference(run.layer.name, run.y, other.y, run.seen["clocks"])
            assert run.seen["tile_reads"] == len(run.x) * run.layer.tiles and run.cycles > other.cycles
        assert torch.equal(given, wanted)
    sums = rtl.sums(network.layers["two"], runs[1].x)
    two = network.layers["two"]
    assert np.array_equal(sums.y, oracle.read(two.conductances, runs[1].x, 5, two.tile))
    assert demo.violations(lane.library) == (0, [])
    assert lane.running_clocks == driver.counters()["forward"]
    lane.close()


def test_a_report_shows_what_differs(tmp_path):
    row = LayerRow("only", 2, 3, 0, 1, 4, 4, 900, 40, 4, 80.64, 8, 3)
    shares = {when: {0: 1.0, 2: 0.5} for when in ("before", "after")}
    counts = {when: np.eye(3, dtype=int) for when in ("before", "after")}
    facts = {"configuration": "face", "device": "ideal", "images": 1, "layers_in_network": 1, "passes": "once",
             "learned_identities": 2, "rank": 6, "rm_writes": 0, "test_pictures": 2, "verilog_lines": 10,
             "multipliers": 8, "tiles": 1, "tile_rows": 32, "tile_columns": 32, "adcs": 8, "conversion_us": 20.16,
             "kind": "faces", "pins": 48, "tick_ns": 10.0, "g_mid_us": 45.0}
    findings = Findings(facts, [("clocks", "900")], [row], [(np.zeros((8, 8)), 2, None, 1)],
                        {"float": shares, "integer": shares}, counts, np.full((1, 32, 32), 4500), ["only"], 0.01,
                        (10, 80), (np.arange(8), np.arange(8)), (np.arange(8), np.arange(8) + 1), 2, "<nowhere>", (),
                        ("y of only[0, 0] is 1 from the RTL, 0 from the oracle",))
    page = write_report(findings, tmp_path / "new" / "folder").read_text(encoding="utf-8")
    assert "3 of\n8 codes differ" in page and "y of only[0, 0] is 1" in page and "&lt;nowhere&gt;" in page
