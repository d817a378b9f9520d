"""Where elements lie: every one in a place of its own, in row words that feed every multiplier."""

import pytest
from rmdlora.golden.spec.geometry import Geometry, Lanes, ceil_div
from rmdlora.golden.spec.refusal import Refusal


@pytest.mark.parametrize("lanes", [Lanes(1, 1, 1), Lanes(2, 2, 2), Lanes(4, 16), Lanes(8, 8), Lanes(16, 1)], ids=str)
@pytest.mark.parametrize(("inputs", "outputs", "rank", "base"), [
    (1, 1, 1, 0), (7, 3, 5, 9), (16, 33, 16, 2), (2, 9, 17, 0)])
def test_every_element_has_a_place_of_its_own_within_the_adapters_words(lanes, inputs, outputs, rank, base):
    layout = lanes.layout(inputs, outputs, rank, base)
    a = [layout.a_element(j, i) for j in range(rank) for i in range(inputs)]
    b = [layout.b_element(o, j) for o in range(outputs) for j in range(rank)]
    places = a + b
    assert len(set(places)) == len(places)
    words = {place // lanes.row_elements for place in places}
    assert words == set(range(base, base + layout.words))
    assert max(a) < min(b)


def test_neighbouring_positions_and_lanes_share_a_row_word():
    layout = Lanes(4, 4).layout(8, 8, 6, 10)
    assert layout.a_element(0, 0) == 160 and layout.a_element(3, 3) == 175  # the first word: lanes 0..3, inputs 0..3
    assert layout.a_element(4, 0) == 176                                    # the second: lanes 4, 5
    assert layout.a_element(0, 4) == 192                                    # the third: inputs 4..7
    assert layout.b_element(0, 0) == 160 + 4 * 16


def test_counts():
    lanes = Lanes(8, 4, 2)
    assert (lanes.multipliers, lanes.row_elements, lanes.beat_elements) == (64, 32, 8)
    assert (lanes.rank_groups(9), lanes.groups(9), lanes.blocks(9)) == (2, 3, 5)
    assert [ceil_div(value, 4) for value in (1, 4, 5)] == [1, 1, 2]


@pytest.mark.parametrize(("kind", "values", "words"), [
    (Geometry, {"max_rank": 33}, "geometry.max_rank must be an integer of 1..32, not 33"),
    (Geometry, {"max_inputs": 0}, "geometry.max_inputs must be an integer of 1..65535, not 0"),
    (Lanes, {"rows": 6}, "lora.rows must be a power of two, not 6"),
    (Lanes, {"chunk": 0}, "lora.chunk must be an integer of 1..4096, not 0"),
])
def test_impossible_shapes_are_refused(kind, values, words):
    with pytest.raises(Refusal, match=words):
        kind(**values)
