"""Tokenizers of many configurations, each as MidiTok's object and as Segue's vocabulary."""

import json
from functools import cache
from typing import Any

from segue.symbolic.data.tokenizer import TempoSettings, TokenizerConfig
from segue.symbolic.vocabulary import Vocabulary

_LINEAR = TempoSettings(num_bins=22, logarithmic=False)
_REPEATED = TempoSettings(
    num_bins=32, lowest=40, highest=250, logarithmic=False, drop_repeated=False
)

CONFIGS: dict[str, TokenizerConfig] = {
    "shipped": TokenizerConfig(),
    "original": TokenizerConfig.original(),
    "no velocities": TokenizerConfig(num_velocities=None),
    "no tempos": TokenizerConfig(tempos=None),
    "no drum pitches": TokenizerConfig(drum_pitch_range=None),
    "duplicates stay": TokenizerConfig(remove_duplicated_notes=False),
    "120 is a tempo": TokenizerConfig(tempos=_LINEAR),
    "tempos repeat": TokenizerConfig(tempos=_REPEATED),
    "few programs": TokenizerConfig(programs=(73, -1, 0, 40, 41)),
    "bare": TokenizerConfig(
        num_velocities=None, tempos=None, drum_pitch_range=None, pitch_range=(30, 90)
    ),
    "fine": TokenizerConfig(
        beat_resolution={"0_4": 24, "4_16": 8}, num_velocities=127, pitch_range=(0, 127)
    ),
    "whole notes": TokenizerConfig(
        time_signatures={1: (1, 2), 2: (1, 2, 3), 4: (1, 2, 3, 4), 8: (6, 7, 12)}
    ),
}
"""What a user can set."""

UNEVEN: dict[str, Any] = {"beat_res": {(0, 2): 6, (2, 8): 4, (8, 20): 1}}
"""What only MidiTok allows: lengths whose steps are no multiple of the grid's."""


@cache
def pair(name: str) -> tuple[Any, Vocabulary]:
    """MidiTok's tokenizer and Segue's vocabulary of one configuration."""
    import miditok

    if name == "uneven":
        arguments = CONFIGS["shipped"].to_miditok() | UNEVEN
    else:
        arguments = CONFIGS[name].to_miditok()
    remi = miditok.REMI(miditok.TokenizerConfig(**arguments))
    return remi, Vocabulary.from_config(json.loads(json.dumps(remi.to_dict()["config"])))


ALL = [*CONFIGS, "uneven"]
