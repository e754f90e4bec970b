"""Names of instruments."""

from segue.symbolic.instruments import (
    FAMILIES,
    INSTRUMENTS,
    contains_word,
    family_name,
    instrument_name,
    means_drums,
)


def test_there_are_128_in_16_families() -> None:
    assert len(INSTRUMENTS) == len(set(INSTRUMENTS)) == 128
    assert len(FAMILIES) == len(set(FAMILIES)) == 16


def test_known_programs() -> None:
    known = {0: "Acoustic Grand Piano", 24: "Acoustic Guitar (nylon)", 33: "Electric Bass (finger)"}
    known |= {40: "Violin", 56: "Trumpet", 73: "Flute", 80: "Lead 1 (square)", 127: "Gunshot"}
    assert {program: instrument_name(program) for program in known} == known
    assert [family_name(program) for program in (0, 33, 40, 73)] == [
        "Piano",
        "Bass",
        "Strings",
        "Pipe",
    ]
    assert instrument_name(0, is_drum=True) == family_name(8, is_drum=True) == "Drums"


def test_words() -> None:
    assert contains_word("Electric Bass (finger)", "bass")
    assert contains_word("Electric Bass (finger)", "BASS")
    assert not contains_word("Bassoon", "bass")
    assert means_drums("Drums")
    assert not means_drums("steel drums")
