"""The driver over a board's registers and DMA engines: the same script, and the same answers, as in a simulation."""

import contextlib
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
from fake_zynq import BASE, Zynq
from rmdlora.cosim.native import NativeLane
from rmdlora.gen import uio
from rmdlora.gen.board import BoardTransport
from rmdlora.gen.dma import TransferFailure
from rmdlora.gen.overlay import open_overlay
from rmdlora.gen.uio import MappedMemory, MappedWords, open_memory, open_uio
from rmdlora.gen.zynq import CHIP_ADDRESS, CHIP_SIZE, DMA_SIZE, dma_engines
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedType, RefusedValue
from rmdlora.golden.spec.registers import register
from use_chip import use

TINY = load_configuration("tiny")
ENGINES = dma_engines(TINY)


@pytest.fixture(scope="module")
def simulated():
    """What `use` gives in the simulation."""
    return use(NativeLane(TINY))


def part_memory(memory):
    """``{engine: memory}`` of equal parts of an array, coherent."""
    class Part:
        def __init__(self, begin, size):
            self.address, self.size, self.bytes = BASE + begin, size, memory[begin:begin + size]

        def store(self, data):
            self.bytes[:len(data)] = np.frombuffer(data, np.uint8)

        def load(self, length):
            return self.bytes[:length].tobytes()

    size = len(memory) // len(ENGINES)
    return {engine.name: Part(index * size, size) for index, engine in enumerate(ENGINES)}


def board(bytes_each=4096):
    """``(transport, zynq)`` over the models, without an operating system."""
    zynq = Zynq(TINY, np.zeros(bytes_each * len(ENGINES), np.uint8))
    return BoardTransport(TINY, zynq.chip, zynq.engines, part_memory(zynq.memory), lambda seconds: None), zynq


def test_the_same_script_gives_the_same_answers_over_dma_engines_as_in_the_simulation(simulated):
    transport, zynq = board()
    assert use(transport) == simulated
    packets = zynq.engines["dma_y"].packets
    assert len(packets) == 1 + 4 + 2        # each operation's results end with TLAST, and a transfer with them
    assert packets[0] == 21 * 6


def test_operands_larger_than_their_memory_go_in_parts(simulated):
    transport, zynq = board(768)            # the sums of 21 vectors of 11 outputs, 4 bytes each, are more
    starts = []
    start = zynq.engines["dma_c"].start
    zynq.engines["dma_c"].start = lambda length: (starts.append(length), start(length))
    assert use(transport) == simulated
    assert starts[:2] == [768, 21 * 6 * 8 - 768]


@pytest.fixture
def fake_root(tmp_path, monkeypatch):
    """A root folder with the devices of the device-tree overlay: registers are models, memory and interrupts files."""
    for folder in ("dev", "sys/class/uio", "sys/class/u-dma-buf/rmdlora"):
        (tmp_path / folder).mkdir(parents=True)
    size = 5 * 8192
    (tmp_path / "dev/rmdlora").write_bytes(bytes(size))
    (tmp_path / "sys/class/u-dma-buf/rmdlora/phys_addr").write_text(f"{BASE:#x}\n")
    (tmp_path / "sys/class/u-dma-buf/rmdlora/size").write_text(f"{size}\n")
    zynq = Zynq(TINY, np.memmap(tmp_path / "dev/rmdlora", np.uint8, "r+"))
    models = {}
    for index, (name, size, model) in enumerate([("rmdlora", CHIP_SIZE, zynq.chip), *(
            (f"rmdlora_{name}", DMA_SIZE, model) for name, model in zynq.engines.items())]):
        folder = tmp_path / f"sys/class/uio/uio{index}"
        (folder / "maps/map0").mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "maps/map0/size").write_text(f"{size:#010x}\n")
        os.mkfifo(tmp_path / f"dev/uio{index}")         # what enables it makes it come
        models[tmp_path / f"dev/uio{index}"] = (model, size)

    def mapped(path, size):
        model, expected = models[path]
        assert size == expected
        return model

    monkeypatch.setattr(uio, "MappedWords", mapped)
    return tmp_path


def test_the_same_script_gives_the_same_answers_over_uio_devices(fake_root, simulated):
    with contextlib.closing(open_uio(TINY, root=fake_root)) as transport:
        assert use(transport) == simulated


def test_devices_that_are_missing_or_small_are_refused_by_name(fake_root):
    (fake_root / "sys/class/uio/uio3/maps/map0/size").write_text("0x1000\n")
    with pytest.raises(RefusedValue, match="UIO device rmdlora_dma_g must map 0x10000 bytes, not 0x1000"):
        open_uio(TINY, root=fake_root)
    (fake_root / "sys/class/uio/uio3/name").write_text("leds\n")
    with pytest.raises(RefusedValue, match=r"UIO device rmdlora_dma_g must be there, not missing \(linux/rmdlora.dtso"):
        open_uio(TINY, root=fake_root)
    (fake_root / "sys/class/uio/uio3/name").write_text("rmdlora_dma_g\n")
    (fake_root / "sys/class/uio/uio3/maps/map0/size").write_text("0x10000\n")
    with pytest.raises(RefusedValue, match="u-dma-buf other must be there, not missing"):
        open_uio(TINY, buffer="other", root=fake_root)


def test_registers_and_memory_in_a_file_lie_where_their_offsets_say(tmp_path):
    path = tmp_path / "mem"
    path.write_bytes(bytes(3 * 4096))
    words, memory = MappedWords(path, 4096, 4096), MappedMemory(path, BASE, 4096, 8192)
    words.write(0x28, 0x89ABCDEF)
    assert words.read(0x28) == 0x89ABCDEF
    memory.store(b"codes")
    assert memory.load(5) == b"codes"
    content = path.read_bytes()
    assert content[4096 + 0x28:4096 + 0x2C] == b"\xef\xcd\xab\x89"
    assert content[8192:8197] == b"codes"
    assert content.count(0) == len(content) - 9
    for offset in (2, 4096, -4):
        with pytest.raises(RefusedValue, match="an offset must be a multiple of 4 below 0x1000"):
            words.read(offset)
    with pytest.raises(RefusedValue, match=r"missing must be a device that can be opened, not .* \(No such"):
        MappedWords(tmp_path / "missing", 4096)


def test_dev_mem_is_mapped_at_the_addresses_of_the_block_design(tmp_path, monkeypatch):
    mapped = {}

    class Recorded(MappedWords):
        def __init__(self, path, size, begin=0):
            mapped[begin] = size
            super().__init__(path, 4096, 4096 * len(mapped))

    path = tmp_path / "mem"
    with open(path, "wb") as file:
        file.truncate(BASE + 5 * 8192)
    monkeypatch.setattr(uio, "MappedWords", Recorded)
    with pytest.raises(TransferFailure, match="dma_x must end its reset, not stay in it"):     # a file answers nothing
        open_memory(TINY, BASE, 5 * 8192, path)
    assert mapped == {CHIP_ADDRESS: CHIP_SIZE, **{engine.address: DMA_SIZE for engine in ENGINES}}
    with pytest.raises(RefusedValue, match="DMA memory must be at least 20480 bytes, not 4096"):
        open_memory(TINY, BASE, 4096, path)


class CachedBuffer(np.ndarray):
    """PYNQ's buffer: what the processor writes reaches memory when it is flushed, and the other way round."""

    def flush(self):
        """Cache to memory."""
        self.memory[:] = self

    def invalidate(self):
        """Memory to cache."""
        self[:] = self.memory


@pytest.fixture
def fake_pynq(monkeypatch):
    """A module ``pynq`` with an overlay of the generated block design."""
    zynq = Zynq(TINY, np.zeros(1 << 20, np.uint8))
    used = [0]

    def allocate(shape, dtype):
        (size,), begin = shape, used[0]
        used[0] += size + 1024
        buffer = np.random.default_rng(begin).integers(0, 256, size, dtype).view(CachedBuffer)
        buffer.memory, buffer.device_address = zynq.memory[begin:begin + size], BASE + begin
        return buffer

    class Mmio:
        def __init__(self, base_addr, length):
            model = zynq.at(base_addr)
            assert length == (CHIP_SIZE if base_addr == CHIP_ADDRESS else DMA_SIZE)
            self.read, self.write = model.read, model.write

    placed = {"chip": {"phys_addr": CHIP_ADDRESS, "addr_range": CHIP_SIZE, "type": "rmdlora:user:rmdlora:1.0"}}
    placed |= {engine.name: {"phys_addr": engine.address, "addr_range": DMA_SIZE} for engine in ENGINES}
    module = types.SimpleNamespace(Overlay=lambda bitfile: types.SimpleNamespace(ip_dict=placed), MMIO=Mmio,
                                   allocate=allocate, placed=placed)
    monkeypatch.setitem(sys.modules, "pynq", module)
    return module


def test_the_same_script_gives_the_same_answers_over_pynq(fake_pynq, simulated):
    assert use(open_overlay(TINY, "rmdlora.bit", memory_bytes=8192)) == simulated


def test_an_overlay_of_another_design_is_refused_and_so_is_a_machine_without_pynq(fake_pynq, monkeypatch):
    del fake_pynq.placed["dma_y"]
    with pytest.raises(RefusedValue, match="the overlay must hold dma_y, as the generated block design does"):
        open_overlay(TINY, "rmdlora.bit")
    fake_pynq.placed["chip"]["addr_range"] = 4096
    with pytest.raises(RefusedValue, match="chip of the overlay must have 0x4000000 bytes, not 0x1000"):
        open_overlay(TINY, "rmdlora.bit")
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(RefusedValue, match="pynq must be installed to open an overlay, not missing"):
        open_overlay(TINY, "rmdlora.bit")


def test_an_engine_that_stops_with_an_error_is_named():
    transport, zynq = board()
    zynq.engines["dma_x"].memory = zynq.memory[:0]
    with pytest.raises(TransferFailure, match="dma_x must move its beats, not stop with status 0x4021"):
        transport.send("x", np.ones((4, 2), int))
        transport.run_until_idle(1000)


def test_a_wait_that_takes_too_long_says_where_everything_stands(monkeypatch):
    transport, _ = board()
    monkeypatch.setattr("rmdlora.gen.board.HOST_S", 0.0)
    transport.expect("y", 3)
    with pytest.raises(TransferFailure, match=r"must come to rest within 10 clocks, not wait: .* y has 12 bytes"):
        transport.run_until_idle(10)
    with pytest.raises(TransferFailure, match="irq must rise within 10 clocks"):
        transport.run_until_high("irq", 10)


def test_what_a_stream_cannot_take_is_refused():
    transport, _ = board()
    with pytest.raises(RefusedValue, match="stream must be one of x, c, g, not 'y'"):
        transport.send("y", np.ones((1, 2), int))
    with pytest.raises(RefusedType, match="beats of x must be integers, not float64"):
        transport.send("x", np.ones((1, 2)))
    with pytest.raises(RefusedValue, match=r"beats of x must be \(n, 2\), not \(2,\)"):
        transport.send("x", np.ones(2, int))
    with pytest.raises(RefusedValue, match=r"beats of x must fit 8 bits, not 200..200"):
        transport.send("x", np.full((1, 2), 200))
    with pytest.raises(RefusedValue, match="stream must be one of y, dx, not 'x'"):
        transport.expect("x", 1)
    with pytest.raises(RefusedValue, match="beats expected of y must fit 4096 bytes of DMA memory"):
        transport.expect("y", 2000)
    with pytest.raises(RefusedValue, match="port must be irq, the one a board shows, not 'running'"):
        transport.run_until_high("running", 10)
    assert transport.read(register("IDENTITY").address) == 0x524D444C


def test_what_the_board_needs_imports_neither_torch_nor_amaranth():
    program = ("import sys, rmdlora.gen.driver, rmdlora.gen.adapters, rmdlora.gen.uio, rmdlora.gen.overlay; "
               "sys.exit(sorted({'torch', 'amaranth', 'jinja2', 'cocotb'} & set(sys.modules)) or 0)")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=pathlib.Path(__file__).parents[1])
