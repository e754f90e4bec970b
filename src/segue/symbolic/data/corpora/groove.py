"""The Groove MIDI dataset, MIDI files alone: drummers on an electronic kit, to a click.

Address: https://magenta.tensorflow.org/datasets/groove. Size and SHA-256: TensorFlow Datasets
(``tensorflow_datasets/datasets/groove/checksums.tsv``).
"""

from collections.abc import Mapping
from pathlib import Path

from segue.core.corpus import Archive, Corpus
from segue.core.tables import read_columns
from segue.symbolic.data.corpora.official import Piece, write_official

LICENCE = "CC BY 4.0, Google LLC"
COLUMNS = ("drummer", "session", "id", "style", "midi_filename", "split")


def _prepare(folder: Path) -> Mapping[str, int]:
    """Write splits and credits; the label is the style, the group the performance."""
    music = folder / "groove"
    rows = read_columns(
        music / "info.csv", COLUMNS, advice="Get it with `segue data download groove`."
    )
    pieces = [
        Piece(
            path=row["midi_filename"],
            split=row["split"],
            label=row["style"],
            group=row["id"],
            artist=row["drummer"],
            title=row["style"],
        )
        for row in rows
    ]
    return write_official(pieces, music, licence=LICENCE)


CORPORA = (
    Corpus(
        name="groove",
        title="drum performances with dynamics and micro-timing, by style",
        archives=(
            Archive(
                "https://storage.googleapis.com/magentadata/datasets/groove/"
                "groove-v1.0.0-midionly.zip",
                3_260_318,
                "sha256:651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e",
            ),
        ),
        licence=LICENCE,
        citation=(
            "J. Gillick, A. Roberts, J. Engel, D. Eck, D. Bamman: Learning to Groove with Inverse "
            "Sequence Transformations. International Conference on Machine Learning (ICML), 2019"
        ),
        homepage="https://magenta.tensorflow.org/datasets/groove",
        num_files=1_150,
        hours=13.6,
        prepare=_prepare,
    ),
)
