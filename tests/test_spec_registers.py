"""The register table: no two things at one address, and words that pack and unpack."""

import pytest
from rmdlora.golden.spec.program import CODE_HIGH, TOLERANCE_HIGH, CellStatus, pack_cell, unpack_result
from rmdlora.golden.spec.refusal import Refusal
from rmdlora.golden.spec.registers import ADDRESS_BITS, REGISTERS, WINDOWS, Fault, Kind, register, window


def test_nothing_overlaps_and_everything_lies_within_the_address_space():
    taken = {}
    for entry in REGISTERS:
        for index in range(entry.count):
            address = entry.address + 4 * index
            assert address % 4 == 0 and taken.setdefault(address, entry.name) == entry.name
    places = sorted((window.address, window.size) for window in WINDOWS)
    assert max(taken) < places[0][0]
    for (address, size), (following, _) in zip(places, [*places[1:], (1 << ADDRESS_BITS, 0)], strict=True):
        assert address + size <= following


@pytest.mark.parametrize("entry", REGISTERS, ids=lambda entry: entry.name)
def test_fields_lie_apart_in_their_word_and_pack_and_unpack(entry):
    covered = 0
    for field in entry.fields:
        mask = (1 << field.bits) - 1 << field.low
        assert not covered & mask and field.low + field.bits <= 32
        assert 0 <= field.reset < 1 << field.bits
        covered |= mask
    assert entry.access in ("rw", "ro", "wo", "w1c", "rw_port")
    largest = {field.name: (1 << field.bits) - 1 for field in entry.fields}
    assert entry.unpack(entry.pack(**largest)) == largest
    assert entry.unpack(entry.pack()) == {field.name: field.reset for field in entry.fields}


def test_a_field_takes_what_fits_and_no_unknown_name():
    control = register("OP_CONTROL")
    assert control.pack(kind=2, nearest=1) == 0b100010
    with pytest.raises(Refusal, match=r"OP_CONTROL.kind must fit 3 bits, not 8"):
        control.pack(kind=8)
    with pytest.raises(Refusal, match="OP_CONTROL has no field colour"):
        control.pack(colour=1)
    with pytest.raises(Refusal, match="register must be one of the table's, not 'NOWHERE'"):
        register("NOWHERE")
    with pytest.raises(Refusal, match="field must be one of kind, crossbar, nearest, high, not 'colour'"):
        control.field("colour")


@pytest.mark.parametrize("entry", [*REGISTERS, *(word for place in WINDOWS for word in place.words)],
                         ids=lambda entry: entry.name)
def test_every_register_and_every_field_says_what_it_is(entry):
    assert entry.text and entry.fields
    assert all(field.text for field in entry.fields)
    assert len({field.name for field in entry.fields}) == len(entry.fields)


@pytest.mark.parametrize("codes", [Kind, Fault], ids=lambda codes: codes.__name__)
def test_every_code_has_its_meaning_and_no_other_has(codes):
    numbers = {name: code for name, code in vars(codes).items() if name.isupper() and isinstance(code, int)}
    assert list(numbers) == [name for name, _ in codes.MEANINGS]
    assert all(meaning for _, meaning in codes.MEANINGS)


def test_a_faults_place_in_the_table_is_its_code():
    assert [getattr(Fault, name) for name, _ in Fault.MEANINGS] == list(range(len(Fault.MEANINGS)))


def test_the_words_of_a_windows_element_lie_within_it_and_are_as_the_specification_packs_them():
    for place in WINDOWS:
        assert place.words
        assert all(word.address % 4 == 0 and word.address + 4 <= place.stride for word in place.words)
    target, result = window("cells").words
    assert target.unpack(pack_cell(CODE_HIGH, 5, skip=True)) == {"code": CODE_HIGH, "tolerance": 5, "skip": 1}
    assert target.unpack(pack_cell(9, TOLERANCE_HIGH)) == {"code": 9, "tolerance": TOLERANCE_HIGH, "skip": 0}
    word = result.pack(pulses=0xFFFF, status=CellStatus.GIVEN_UP)
    assert unpack_result(word) == (0xFFFF, CellStatus.GIVEN_UP)
