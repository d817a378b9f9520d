"""Vector files: what follows the contract is read, what does not is refused in one line, before anything runs."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from rmdlora.golden import stimulus
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.vectors import check_vectors, load_vectors, need_writable, save_arrays

DEFAULT = load_configuration("default")


def whole():
    """A legal training file's arrays: n, k, d, r = 3, 5, 4, 2."""
    return {"x": np.zeros((3, 5), np.int8), "a": np.zeros((2, 5), np.int16), "b": np.zeros((4, 2), np.int32),
            "c": np.zeros((3, 4), np.int64), "gain": np.zeros(4, ">i2"), "offset": np.zeros(4, np.int32),
            "g": np.zeros((3, 4), np.int16), "active": np.array([True, False]), "trainable": np.array([True, False]),
            "p_shift": np.array(47), "lra_shift": np.array(31), "momentum_shift": np.array(15),
            "batch": np.array(2, np.uint8), "seed": np.array((1 << 32) - 1, np.uint64), "rounding": np.array("nearest")}


def test_a_whole_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "in.npz"
    np.savez_compressed(path, **whole())
    vectors = load_vectors(path, DEFAULT)
    assert vectors.sizes == (3, 5, 4, 2) and vectors.trains
    assert (vectors.p_shift, vectors.u_shift, vectors.batch, vectors.seed) == (47, 0, 2, (1 << 32) - 1)
    assert vectors.rounding == "nearest" and vectors.gain.dtype == np.int64
    assert vectors.trainable.tolist() == [True, False]


def test_what_is_left_out_has_the_contracts_default():
    vectors = check_vectors({key: whole()[key] for key in ("x", "a", "b", "active")}, DEFAULT)
    assert not vectors.trains and vectors.c is None
    assert vectors.gain.tolist() == vectors.offset.tolist() == [0] * 4
    assert vectors.trainable.tolist() == vectors.active.tolist() == [True, False]
    assert (vectors.batch, vectors.seed, vectors.rounding, vectors.lra_shift) == (1, 0, "stochastic", 0)


@pytest.mark.parametrize("seed", range(25))
def test_every_random_file_is_legal(seed, tmp_path):
    for name in ("default", "tiny", "face"):
        configuration = load_configuration(name)
        arrays = stimulus.random_arrays(np.random.default_rng(seed), configuration)
        save_arrays(tmp_path / name, arrays)
        load_vectors(tmp_path / name, configuration)


BROKEN = {
    "lack of a": ({"a": None}, "a must be in a vector file, and is missing"),
    "unknown key": ({"z": np.zeros(1, int)}, "'z' is not a key of a vector file"),
    "float": ({"x": np.zeros((3, 5))}, "x must be an array of integers, not float64"),
    "bool codes": ({"x": np.zeros((3, 5), bool)}, "x must be an array of integers, not bool"),
    "object": ({"x": np.zeros((3, 5), object)}, "x must be an array of integers, not object"),
    "complex": ({"g": np.zeros((3, 4), complex)}, "g must be an array of integers, not complex128"),
    "text": ({"b": np.array([["1", "2"]])}, "b must be an array of integers, not <U1"),
    "flat": ({"x": np.zeros(5, int)}, r"x must be of shape \(n, k\), not \(5,\)"),
    "other k": ({"a": np.zeros((2, 6), int)}, r"a must be of shape \(r, k\) with k = 5, not \(2, 6\)"),
    "other r": ({"b": np.zeros((4, 3), int)}, r"b must be of shape \(d, r\) with r = 2, not \(4, 3\)"),
    "other d": ({"c": np.zeros((3, 5), int)}, r"c must be of shape \(n, d\) with d = 4, not \(3, 5\)"),
    "other n": ({"g": np.zeros((2, 4), int)}, r"g must be of shape \(n, d\) with n = 3, not \(2, 4\)"),
    "long gain": ({"gain": np.zeros(5, int)}, r"gain must be of shape \(d,\) with d = 4, not \(5,\)"),
    "no vectors": ({"x": np.zeros((0, 5), int)}, r"x must be of shape \(n, k\) with n at least 1, not \(0, 5\)"),
    "no inputs": ({"x": np.zeros((3, 0), int)}, "with k at least 1"),
    "no rank": ({"a": np.zeros((0, 5), int)}, "with r at least 1"),
    "no outputs": ({"b": np.zeros((0, 2), int)}, "with d at least 1"),
    "x too large": ({"x": np.full((3, 5), 128)}, r"x must be 8-bit codes \(-128..127\), not 128 at \[0, 0\]"),
    "x too small": ({"x": np.array([[0] * 5, [0, 0, 0, -129, 0], [0] * 5])}, r"not -129 at \[1, 3\]"),
    "g": ({"g": np.full((3, 4), 1 << 15)}, "g must be 16-bit codes"),
    "c": ({"c": np.full((3, 4), 1 << 31)}, "c must be 32-bit codes"),
    "gain": ({"gain": np.full(4, 1 << 15)}, "gain must be 16-bit codes"),
    "offset": ({"offset": np.full(4, -(1 << 31) - 1)}, "offset must be 32-bit codes"),
    "past int64": ({"c": np.full((3, 4), (1 << 64) - 1, np.uint64)}, "not 18446744073709551615 at"),
    "c without gain": ({"gain": None, "offset": None}, "c must come with gain, but gain is missing"),
    "offset without gain": ({"gain": None, "c": None}, "offset must come with gain, but gain is missing"),
    "trainable outside": ({"trainable": np.array([True, True])}, "lane 1 is trainable and not active"),
    "integer mask": ({"active": np.array([1, 0])}, "active must be an array of bool, not int64"),
    "long mask": ({"active": np.ones(3, bool)}, r"active must be of shape \(r,\) with r = 2, not \(3,\)"),
    "shift 48": ({"p_shift": np.array(48)}, "p_shift must be an integer of 0..47, not 48"),
    "shift -1": ({"dx_shift": np.array(-1)}, "dx_shift must be an integer of 0..47, not -1"),
    "lra 32": ({"lra_shift": np.array(32)}, "lra_shift must be an integer of 0..31, not 32"),
    "lrb 32": ({"lrb_shift": np.array(32)}, "lrb_shift must be an integer of 0..31, not 32"),
    "momentum 16": ({"momentum_shift": np.array(16)}, "momentum_shift must be an integer of 0..15, not 16"),
    "1-d scalar": ({"u_shift": np.array([3])}, r"u_shift must be .* and 0-d, not of shape \(1,\)"),
    "float scalar": ({"u_shift": np.array(3.0)}, "u_shift must be .* not float64"),
    "bool scalar": ({"batch": np.array(True)}, "batch must be .* not bool"),
    "batch 0": ({"batch": np.array(0)}, "batch must be an integer of at least 1, not 0"),
    "seed -1": ({"seed": np.array(-1)}, "seed must be an integer of 0..4294967295, not -1"),
    "seed 2**32": ({"seed": np.array(1 << 32)}, "seed must be an integer of 0..4294967295, not 4294967296"),
    "rounding word": ({"rounding": np.array("up")}, "rounding must be stochastic or nearest, not 'up'"),
    "rounding bytes": ({"rounding": np.array(b"nearest")}, "rounding must be stochastic or nearest as a 0-d string"),
    "rounding list": ({"rounding": np.array(["nearest"])}, "rounding must be stochastic or nearest as a 0-d string"),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_named_with_its_value(case, training, tmp_path):
    change, words = BROKEN[case]
    arrays = {key: value for key, value in (whole() | change).items() if value is not None}
    if not training and "g" not in change:
        del arrays["g"]
    with pytest.raises(Refusal, match=words) as refused:
        check_vectors(arrays, DEFAULT)
    assert "\n" not in str(refused.value)
    np.savez(tmp_path / "in.npz", **arrays)
    with pytest.raises(Refusal):
        load_vectors(tmp_path / "in.npz", DEFAULT)


@pytest.mark.parametrize(("configuration", "sizes", "words"), [
    ("default", (4097, 1, 1), "k must be at most 4096 .geometry.max_inputs of configuration default., not 4097"),
    ("default", (1, 4097, 1), "d must be at most 4096"), ("default", (1, 1, 17), "r must be at most 16"),
    ("tiny", (65, 1, 1), "k must be at most 64"), ("image", (1, 1, 9), "r must be at most 8"),
])
def test_a_layer_larger_than_the_configuration_is_refused(configuration, sizes, words):
    k, d, r = sizes
    arrays = {"x": np.zeros((1, k), int), "a": np.zeros((r, k), int), "b": np.zeros((d, r), int)}
    check_vectors({"x": arrays["x"][:, :1], "a": arrays["a"][:1, :1], "b": arrays["b"][:1, :1]}, DEFAULT)
    with pytest.raises(Refusal, match=words):
        check_vectors(arrays, load_configuration(configuration))


def corrupt_files():
    """``{what: bytes}`` of files that are no vector files."""
    good = io.BytesIO()
    np.savez(good, **whole())
    squeezed = io.BytesIO()
    np.savez_compressed(squeezed, **whole() | {"x": np.random.default_rng(1).integers(-99, 99, (900, 5))})
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    pickled = io.BytesIO()
    np.savez(pickled, x=np.array([{"a": 1}, None], dtype=object))
    flipped = bytearray(squeezed.getvalue())
    flipped[200:300] = bytes(100)
    loose, twice, huge, guessed = (io.BytesIO() for _ in range(4))
    with zipfile.ZipFile(loose, "w") as archive:
        for key in ("x", "a", "b"):
            archive.writestr(key, "hello")
    with zipfile.ZipFile(twice, "w") as archive:
        for key in ("x", "x.npy", "a", "b"):
            archive.writestr(key, good.getvalue()[:100])
    for file, shape in ((huge, "(1000000000000, 1000000000)"), (guessed, "(3L, 5L)")):
        header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
        with zipfile.ZipFile(file, "w") as archive:
            for key in ("x.npy", "a.npy", "b.npy"):
                archive.writestr(key, b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(120))
    content = good.getvalue()
    return {"empty": b"", "text": b"hello", "cut": content[:-40], "half": content[:len(content) // 2],
            "npy": plain.getvalue(), "pickle": pickle.dumps({"x": 1}), "pickles inside": pickled.getvalue(),
            "flipped": bytes(flipped), "no arrays inside": loose.getvalue(), "one array twice": twice.getvalue(),
            "shape beyond memory": huge.getvalue(), "header of another age": guessed.getvalue()}


@pytest.mark.parametrize("what", corrupt_files())
def test_a_corrupt_file_is_refused_in_one_line(what, tmp_path):
    path = tmp_path / "in.npz"
    path.write_bytes(corrupt_files()[what])
    with pytest.raises(Refusal) as refused:
        load_vectors(path, DEFAULT)
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(Refusal, match="must be a vector file"):
            load_vectors(path, DEFAULT)


def test_results_are_written_whole_or_not_at_all(tmp_path):
    out = tmp_path / "out.npz"
    save_arrays(out, {"y": np.arange(3)})
    with np.load(out) as archive:
        assert archive["y"].tolist() == [0, 1, 2]

    class Failing:
        def __array__(self, *_, **__):
            raise OSError("no space left")

    with pytest.raises(Refusal, match="no space left"):
        save_arrays(out, {"y": np.zeros(1), "z": Failing()})
    with np.load(out) as archive:
        assert archive["y"].tolist() == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(Refusal, match="--out must be in a folder that exists"):
        need_writable(tmp_path / "none" / "out.npz")
    with pytest.raises(Refusal, match=r"--out must be a file, and .* is something else"):
        need_writable(tmp_path)
    with pytest.raises(Refusal, match="is something else"):
        need_writable("/dev/null")
