from pathlib import Path

import pytest
from tests.generation import grammar, vocabulary

from segue.errors import SettingError
from segue.symbolic.grammar import HOLE_FOLLOWERS, Grammar
from segue.symbolic.vocabulary import TokenType, Vocabulary

NAMES = {
    "*start*": TokenType.PAD,
    "TimeSig": TokenType.TIME_SIG,
    "PitchDrum": TokenType.PITCH_DRUM,
}


def kind(name: str) -> TokenType:
    return NAMES.get(name.strip()) or TokenType[name.strip().upper()]


def test_the_documented_table_is_the_table(repository: Path) -> None:
    text = (repository / "docs/explanation/grammar.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    start = next(n for n, row in enumerate(rows) if row[0].strip() == "after") + 2
    documented = {}
    for first, followers in (row for row in rows[start:] if len(row) == 2):
        if first.strip() == "number":
            break
        key = TokenType.PAD if first.strip() == "*start*" else kind(first)
        documented[key] = {kind(follower) for follower in followers.split(",")}
    expected = {key: set(value) for key, value in HOLE_FOLLOWERS.items() if value}
    assert documented == expected


def test_rows_hold_every_token_of_the_types_that_may_follow() -> None:
    rules, words = grammar(), vocabulary()
    for after, followers in HOLE_FOLLOWERS.items():
        allowed = {TokenType(k) for k in words.types[rules.hole_rows[after]]}
        assert allowed == set(followers)
        counts = sum(words.counts[follower] for follower in followers)
        assert rules.hole_rows[after].sum() == counts


def test_without_velocities_a_duration_follows_the_pitch() -> None:
    rules = grammar(velocities=False)
    kinds = rules.vocabulary.types[rules.hole_rows[TokenType.PITCH]]
    assert set(kinds) == {TokenType.DURATION}
    assert rules.note_costs[TokenType.POSITION] == 3
    assert grammar().note_costs[TokenType.POSITION] == 4


def test_pitches_are_those_of_the_names() -> None:
    rules = grammar()
    for name in ("Pitch_21", "Pitch_109", "PitchDrum_27", "PitchDrum_88"):
        assert rules.pitch_of(vocabulary().id(name)) == int(name.split("_")[1])


def test_names_of_tokens() -> None:
    token = vocabulary().id("Pitch_60")
    assert grammar().name(token) == "Pitch_60"
    assert grammar().parts(token) == (token,)


def test_instruments_need_pitches() -> None:
    config = dict(vocabulary().config) | {"pitch_range": (10, 9)}
    with pytest.raises(SettingError, match="no pitch tokens"):
        Grammar(Vocabulary.from_config(config))
