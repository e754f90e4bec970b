"""MAESTRO 3.0.0, the MIDI files alone: piano competitions, recorded by the instruments themselves.

Address and SHA-256: https://magenta.tensorflow.org/datasets/maestro. Size: MusPy
(``muspy/datasets/maestro.py``). No composition is in two of its splits.
"""

from collections.abc import Mapping
from pathlib import Path

from segue.core.corpus import Archive, Corpus
from segue.core.tables import read_columns
from segue.symbolic.data.corpora.official import Piece, write_official

LICENCE = "CC BY-NC-SA 4.0"
FOLDER = "maestro-v3.0.0"
COLUMNS = ("canonical_composer", "canonical_title", "split", "midi_filename")


def _prepare(folder: Path) -> Mapping[str, int]:
    """Write splits and credits; the label is the composer, the group the composition."""
    music = folder / FOLDER
    rows = read_columns(
        music / f"{FOLDER}.csv", COLUMNS, advice="Get it with `segue data download maestro`."
    )
    pieces = [
        Piece(
            path=row["midi_filename"],
            split=row["split"],
            label=row["canonical_composer"],
            group=f"{row['canonical_composer']}: {row['canonical_title']}",
            artist=row["canonical_composer"],
            title=row["canonical_title"],
        )
        for row in rows
    ]
    return write_official(pieces, music, licence=LICENCE)


CORPORA = (
    Corpus(
        name="maestro",
        title="piano performances from competitions, with pedals and dynamics",
        archives=(
            Archive(
                "https://storage.googleapis.com/magentadata/datasets/maestro/v3.0.0/"
                "maestro-v3.0.0-midi.zip",
                58_416_533,
                "sha256:70470ee253295c8d2c71e6d9d4a815189e35c89624b76d22fce5a019d5dde12c",
            ),
        ),
        licence=LICENCE,
        citation=(
            "C. Hawthorne, A. Stasyuk, A. Roberts, I. Simon, C.-Z. A. Huang, S. Dieleman, E. Elsen, "
            "J. Engel, D. Eck: Enabling Factorized Piano Music Modeling and Generation with the "
            "MAESTRO Dataset. International Conference on Learning Representations (ICLR), 2019"
        ),
        homepage="https://magenta.tensorflow.org/datasets/maestro",
        num_files=1_276,
        hours=198.7,
        prepare=_prepare,
    ),
)
