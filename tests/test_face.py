"""The face network in float, mapped to integers, and back."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from blobs import draw_blobs
from rmdlora.golden.face import ADAPTED, Mixer, accuracy, accuracy_by_identity, confusion, learn, prepare_task, unlearn
from rmdlora.golden.hybrid import OracleLayers, map_network
from rmdlora.golden.mapping import map_weights, weight_scale
from rmdlora.golden.spec.configuration import load_configuration
from rmdlora.golden.spec.refusal import RefusedValue

FACE = load_configuration("face")


def read_exactly(conductances, x, outputs, tile, configuration=FACE):
    """The contract's read, in big steps and with Python's own integers where it counts."""
    crossbar, geometry = configuration.crossbar, configuration.geometry
    row_tiles, column_tiles = configuration.row_tiles(x.shape[1]), configuration.column_tiles(outputs)
    volts = np.zeros((len(x), row_tiles, geometry.tile_rows), np.int64)
    volts.reshape(len(x), -1)[:, :x.shape[1]] = crossbar.step * x
    tiles = conductances.reshape(row_tiles, column_tiles, geometry.tile_rows, geometry.tile_columns)
    product = np.einsum("nri,rtij->nrtj", volts, tiles) * crossbar.num
    code = np.rint(product / 2.0**crossbar.shift).astype(np.int64)      # exact: products stay below 2**53
    code = np.clip(code, -(1 << 13), (1 << 13) - 1)
    return (code[..., 0::2] - code[..., 1::2]).sum(axis=1).reshape(len(x), -1)[:, :outputs]


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    task = prepare_task(5, copies=6, seed=1, pictures=dataclasses.replace(
        draw_blobs(), images=draw_blobs().images[:50], identity=draw_blobs().identity[:50]))
    mixer = Mixer(seed=1)
    learn(mixer, task, epochs=60)
    with torch.no_grad():
        learned = accuracy(mixer(task.train[0]), task.train[1])
    unlearn(mixer, task, seed=1)
    network = map_network(mixer, task.train[0], FACE, read_exactly)
    return mixer, task, learned, network


def test_the_mixer_has_the_published_layers_and_weights():
    mixer = Mixer()
    assert sum(weight.numel() for weight in mixer.weights.values()) == 5048
    assert sum(weight.numel() for weight in mixer.parameters()) == 5148
    assert list(mixer.weights) == list(mixer.shapes) == [
        "patch", *(f"block{block}_mlp{mlp}" for block in (0, 1) for mlp in (1, 2, 3, 4)), "out"]
    mixer.add_adapter("unlearn", 6)
    mixer.add_adapter("continue", 8)
    sizes = [sum(part.numel() for part in adapter.values()) for adapter in mixer.adapters.values()]
    assert sizes == [1404, 1872]
    assert sum(mixer.vectors[name] * -(-shape[0] // 16) for name, shape in mixer.shapes.items()) == 281


def test_patches_reach_the_first_layer_row_by_row():
    image = torch.arange(256.0).reshape(1, 16, 16)
    seen = []

    def layer(name, x):
        seen.append(x)
        return torch.zeros(*x.shape[:-1], Mixer().shapes[name][0])

    Mixer()(image, layer)
    assert seen[0].shape == (1, 16, 16)
    assert torch.equal(seen[0][0, 5], image[0, 4:8, 4:8].flatten())


def test_a_fresh_adapter_changes_nothing_and_slots_are_summed():
    mixer, images = Mixer(seed=2), torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = mixer(images)
        mixer.add_adapter("one", 6, seed=1)
        mixer.add_adapter("two", 8, seed=2)
        assert torch.equal(mixer(images), before)
        for slot in mixer.adapters:
            torch.nn.init.normal_(mixer.adapters[slot]["out_b"], generator=torch.Generator().manual_seed(5))
        x = torch.randn(4, 20, generator=torch.Generator().manual_seed(6))
        a, b = mixer.adapter("out")
        assert a.shape == (14, 20) and b.shape == (6, 14) and mixer.adapter("patch") is None
        assert torch.allclose(mixer.linear("out", x), x @ mixer.weights["out"].T + 4 * x @ a.T @ b.T, atol=1e-5)


def test_the_task_learns_and_the_adapter_alone_forgets_one_person(trained):
    mixer, task, learned, _ = trained
    assert learned >= 0.98
    with torch.no_grad():
        train, test = mixer(task.train[0]), mixer(task.test[0])
        by_person = accuracy_by_identity(train, task.train[1])
        assert by_person[2] == 0 and min(by_person[person] for person in (0, 1, 3, 4)) >= 0.9
        assert confusion(test, task.test[1]).sum() == len(test)
        mixer.active = ()
        assert accuracy(mixer(task.train[0]), task.train[1]) == learned, "the frozen weights must be as they were"
        mixer.active = ("unlearn",)


def test_training_again_gives_the_same_bits():
    pictures = draw_blobs(people=5)
    logits = []
    for _ in range(2):
        task, mixer = prepare_task(5, copies=2, seed=4, pictures=pictures), Mixer(seed=4)
        learn(mixer, task, epochs=5)
        unlearn(mixer, task, epochs=2, seed=4)
        with torch.no_grad():
            logits.append(mixer(task.test[0]))
    assert torch.equal(*logits)


def test_the_integer_network_agrees_with_its_float_twin_with_and_without_adapter(trained):
    mixer, task, _, network = trained
    images, identity = task.train
    oracle = OracleLayers(FACE, read_exactly)
    for slots in ((), ("unlearn",)):
        mixer.active = slots
        with torch.no_grad():
            wanted = mixer(images)
        given, runs = network.run(images, oracle, slots)
        assert abs(accuracy(given, identity) - accuracy(wanted, identity)) <= 0.01
        assert float((given - wanted).abs().mean()) < 0.05 * float(wanted.abs().max())
        assert [run.layer.name for run in runs] == list(mixer.shapes)


def test_every_scale_of_a_mapped_layer_keeps_its_headroom(trained):
    network = trained[3]
    assert network.tiles == 17 and network.conductances.shape == (17, 32, 32)
    oracle = OracleLayers(FACE, read_exactly)
    _, runs = network.run(trained[1].train[0], oracle, ("unlearn",))
    for run in runs:
        layer = run.layer
        assert 1 << 14 <= np.abs(layer.gain).max() < 1 << 15
        assert 1 << 12 < np.abs(run.y).max() < (1 << 15) - 1, f"{layer.name}: outputs must use their width, unsaturated"
        assert np.abs(run.x).max() >= 100
        if layer.name in ADAPTED:
            assert layer.rank == 6 and layer.active(("unlearn",)).all() and not layer.active(()).any()
            assert 1 << 12 < np.abs(run.seen["p"]).max() < (1 << 15) - 1
            assert np.abs(layer.a).max() > 1 << 13 and 1 << 12 < np.abs(layer.b).max() < (1 << 15) - 1
        else:
            assert layer.rank == 1 and not layer.a.any() and not layer.slots


def test_memories_of_neighbouring_layers_do_not_overlap(trained):
    layers = list(trained[3].layers.values())
    for one, next_one in itertools.pairwise(layers):
        assert next_one.tile == one.tile + one.tiles
        assert next_one.adapter == one.adapter + FACE.lora.layout(one.inputs, one.outputs, one.rank).words
        assert next_one.calibration * FACE.lora.rows >= one.calibration * FACE.lora.rows + one.outputs


def test_calibration_takes_out_gain_and_offset_errors_of_the_array(trained):
    mixer, task, _, exact = trained

    def read_askew(conductances, x, outputs, tile):
        skew = np.linspace(0.8, 1.1, outputs)
        c = read_exactly(conductances, x, outputs, tile) * skew + 30 * (np.arange(outputs) % 3)
        return np.rint(c).astype(np.int64)

    askew = map_network(mixer, task.train[0], FACE, read_askew)
    wanted, _ = exact.run(task.test[0], OracleLayers(FACE, read_exactly))
    given, _ = askew.run(task.test[0], OracleLayers(FACE, read_askew))
    assert float((given - wanted).abs().max()) < 0.05 * float(wanted.abs().max())
    assert askew.layers["patch"].offset[:3].tolist() == [0, 30, 60]


def test_a_network_too_large_for_its_configuration_is_refused(trained):
    mixer, task = trained[:2]
    small = dataclasses.replace(FACE, crossbar=dataclasses.replace(FACE.crossbar, arrays=16))
    with pytest.raises(RefusedValue, match=r"crossbar\.arrays must be at least 17 for this network, not 16"):
        map_network(mixer, task.train[0][:4], small, read_exactly)


@pytest.mark.parametrize("mapping", ["differential", "reference"])
def test_mapped_conductances_are_the_weights_seen_from_the_middle_of_the_window(mapping):
    configuration = dataclasses.replace(FACE, crossbar=dataclasses.replace(FACE.crossbar, mapping=mapping))
    weights = np.random.default_rng(5).normal(size=(37, 50))
    tiles = map_weights(weights, configuration)
    outputs, columns = configuration.tile_outputs, -(-37 // configuration.tile_outputs)
    assert tiles.shape == (2 * columns, 32, 32)
    assert max(4500 - tiles.min(), tiles.max() - 4500) == 3500, "the largest weight must reach the end of the window"
    scale = weight_scale(weights, configuration) / 0.01
    for o, i in ((0, 0), (36, 49), (15, 31), (16, 32), (20, 40)):
        tile = tiles[i // 32 * columns + o // outputs][i % 32]
        place = o % outputs
        plus, minus = (tile[2 * place], tile[2 * place + 1]) if mapping == "differential" else (tile[place], tile[-1])
        assert plus == round(4500 + scale * weights[o, i])
        assert minus == (round(4500 - scale * weights[o, i]) if mapping == "differential" else 4500)
    assert (map_weights(np.zeros((2, 2)), configuration) == 4500).all()


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(RefusedValue, match="weights must be a finite matrix"):
        map_weights(np.array([[np.nan]]), FACE)
