"""Names of the General MIDI instruments and their families, and how a user's word matches them.

Source: *General MIDI System, Level 1*, MIDI Manufacturers Association (1991).
"""

import difflib
import re

from segue.errors import SettingError

DRUM_CHANNEL = 9
"""Channel of the drums, counted from zero (channel 10 for people)."""

FAMILIES = (
    "Piano",
    "Chromatic Percussion",
    "Organ",
    "Guitar",
    "Bass",
    "Strings",
    "Ensemble",
    "Brass",
    "Reed",
    "Pipe",
    "Synth Lead",
    "Synth Pad",
    "Synth Effects",
    "Ethnic",
    "Percussive",
    "Sound Effects",
)
"""Names of the families; family k holds programs 8 k to 8 k + 7."""

INSTRUMENTS = (
    # Piano (0 to 7)
    "Acoustic Grand Piano",
    "Bright Acoustic Piano",
    "Electric Grand Piano",
    "Honky-tonk Piano",
    "Electric Piano 1",
    "Electric Piano 2",
    "Harpsichord",
    "Clavinet",
    # Chromatic percussion (8 to 15)
    "Celesta",
    "Glockenspiel",
    "Music Box",
    "Vibraphone",
    "Marimba",
    "Xylophone",
    "Tubular Bells",
    "Dulcimer",
    # Organ (16 to 23)
    "Drawbar Organ",
    "Percussive Organ",
    "Rock Organ",
    "Church Organ",
    "Reed Organ",
    "Accordion",
    "Harmonica",
    "Tango Accordion",
    # Guitar (24 to 31)
    "Acoustic Guitar (nylon)",
    "Acoustic Guitar (steel)",
    "Electric Guitar (jazz)",
    "Electric Guitar (clean)",
    "Electric Guitar (muted)",
    "Overdriven Guitar",
    "Distortion Guitar",
    "Guitar Harmonics",
    # Bass (32 to 39)
    "Acoustic Bass",
    "Electric Bass (finger)",
    "Electric Bass (pick)",
    "Fretless Bass",
    "Slap Bass 1",
    "Slap Bass 2",
    "Synth Bass 1",
    "Synth Bass 2",
    # Strings (40 to 47)
    "Violin",
    "Viola",
    "Cello",
    "Contrabass",
    "Tremolo Strings",
    "Pizzicato Strings",
    "Orchestral Harp",
    "Timpani",
    # Ensemble (48 to 55)
    "String Ensemble 1",
    "String Ensemble 2",
    "Synth Strings 1",
    "Synth Strings 2",
    "Choir Aahs",
    "Voice Oohs",
    "Synth Voice",
    "Orchestra Hit",
    # Brass (56 to 63)
    "Trumpet",
    "Trombone",
    "Tuba",
    "Muted Trumpet",
    "French Horn",
    "Brass Section",
    "Synth Brass 1",
    "Synth Brass 2",
    # Reed (64 to 71)
    "Soprano Sax",
    "Alto Sax",
    "Tenor Sax",
    "Baritone Sax",
    "Oboe",
    "English Horn",
    "Bassoon",
    "Clarinet",
    # Pipe (72 to 79)
    "Piccolo",
    "Flute",
    "Recorder",
    "Pan Flute",
    "Blown Bottle",
    "Shakuhachi",
    "Whistle",
    "Ocarina",
    # Synth lead (80 to 87)
    "Lead 1 (square)",
    "Lead 2 (sawtooth)",
    "Lead 3 (calliope)",
    "Lead 4 (chiff)",
    "Lead 5 (charang)",
    "Lead 6 (voice)",
    "Lead 7 (fifths)",
    "Lead 8 (bass + lead)",
    # Synth pad (88 to 95)
    "Pad 1 (new age)",
    "Pad 2 (warm)",
    "Pad 3 (polysynth)",
    "Pad 4 (choir)",
    "Pad 5 (bowed)",
    "Pad 6 (metallic)",
    "Pad 7 (halo)",
    "Pad 8 (sweep)",
    # Synth effects (96 to 103)
    "FX 1 (rain)",
    "FX 2 (soundtrack)",
    "FX 3 (crystal)",
    "FX 4 (atmosphere)",
    "FX 5 (brightness)",
    "FX 6 (goblins)",
    "FX 7 (echoes)",
    "FX 8 (sci-fi)",
    # Ethnic (104 to 111)
    "Sitar",
    "Banjo",
    "Shamisen",
    "Koto",
    "Kalimba",
    "Bagpipe",
    "Fiddle",
    "Shanai",
    # Percussive (112 to 119)
    "Tinkle Bell",
    "Agogo",
    "Steel Drums",
    "Woodblock",
    "Taiko Drum",
    "Melodic Tom",
    "Synth Drum",
    "Reverse Cymbal",
    # Sound effects (120 to 127)
    "Guitar Fret Noise",
    "Breath Noise",
    "Seashore",
    "Bird Tweet",
    "Telephone Ring",
    "Helicopter",
    "Applause",
    "Gunshot",
)
"""Names of programs 0 to 127."""

DRUMS = "Drums"
"""Name of the drums, as an instrument and as a family."""
_DRUM_WORDS = frozenset({"drum", "drums", "drum kit", "percussion"})


def instrument_name(program: int, *, is_drum: bool = False) -> str:
    """Return the General MIDI name of a program 0 to 127, or of the drums."""
    return DRUMS if is_drum else INSTRUMENTS[program]


def family_name(program: int, *, is_drum: bool = False) -> str:
    """Return the General MIDI family of a program 0 to 127, or of the drums."""
    return DRUMS if is_drum else FAMILIES[program // 8]


def contains_word(text: str, word: str) -> bool:
    """Return whether `text` contains `word` as whole words, in any case: bass, but not Bassoon."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def means_drums(word: str) -> bool:
    """Return whether a user's word asks for the drums."""
    return word.casefold() in _DRUM_WORDS


def program_of(name: str) -> int:
    """Return the General MIDI program that a user's word means, -1 for drums.

    A number from 0 to 127 is itself. A word is looked for in the instruments' names, whole words first
    (``violin``, ``electric bass``), then among the families (``strings`` is the String Ensemble's
    neighbour Violin, the family's first instrument).

    Raises:
        SettingError: nothing of that name; the message names the nearest.
    """
    word = name.strip()
    if means_drums(word):
        return -1
    if word.isdecimal() and int(word) < len(INSTRUMENTS):
        return int(word)
    for matches in (
        [n for n, instrument in enumerate(INSTRUMENTS) if instrument.casefold() == word.casefold()],
        [8 * n for n, family in enumerate(FAMILIES) if family.casefold() == word.casefold()],
        [n for n, instrument in enumerate(INSTRUMENTS) if word and contains_word(instrument, word)],
    ):
        if matches:
            return matches[0]
    known = [*INSTRUMENTS, *FAMILIES, DRUMS]
    near = difflib.get_close_matches(word.casefold(), [k.casefold() for k in known], 3, 0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise SettingError(
        f"There is no instrument {name!r}.{hint} Give a General MIDI name, a family such as strings, "
        "a program number from 0 to 127, or drums."
    )
