"""Nottingham and the chorales of Bach, in the splits of Boulanger-Lewandowski and others, 2012.

The page at the University of Montreal has gone; the addresses are those of the Internet Archive,
which gives the very files (``id_``). Size and SHA-256 of the chorales: MusPy
(``muspy/datasets/jsb.py``); those of Nottingham are stated by one program that takes it from this very
address, and by nobody else.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from segue.core.corpus import Archive, Corpus
from segue.symbolic.data.corpora.official import from_folders, write_official

CITATION = (
    "N. Boulanger-Lewandowski, Y. Bengio, P. Vincent: Modeling Temporal Dependencies in "
    "High-Dimensional Sequences: Application to Polyphonic Music Generation and Transcription. "
    "29th International Conference on Machine Learning (ICML), 2012"
)
HOMEPAGE = (
    "https://web.archive.org/web/20220401114442/http://www-ens.iro.umontreal.ca/~boulanni/icml2012"
)


def _prepare(folder: Path, *, name: str, licence: str) -> Mapping[str, int]:
    """Write the splits that the folders stand for."""
    return write_official(from_folders(folder / name), folder / name, licence=licence)


def _corpus(
    name: str, title: str, archive: Archive, *, licence: str, folder: str, num_files: int
) -> Corpus:
    """Describe one collection."""
    return Corpus(
        name=name,
        title=title,
        archives=(archive,),
        licence=licence,
        citation=CITATION,
        homepage=HOMEPAGE,
        num_files=num_files,
        prepare=partial(_prepare, name=folder, licence=licence),
    )


CORPORA = (
    _corpus(
        "nottingham",
        "British and American folk tunes with chords",
        Archive(
            "https://web.archive.org/web/20190502175445id_/"
            "http://www-etud.iro.umontreal.ca/~boulanni/Nottingham.zip",
            692_283,
            "sha256:fd4eb21b656002790cb8429c3482518876c48881ce58270f5296fe5aad50075f",
        ),
        licence="none stated; traditional tunes, collected by Eric Foxley",
        folder="Nottingham",
        num_files=1_037,
    ),
    _corpus(
        "jsb-chorales",
        "four-part chorales by Johann Sebastian Bach",
        Archive(
            "https://web.archive.org/web/20220401114442id_/"
            "http://www-ens.iro.umontreal.ca/~boulanni/JSB%20Chorales.zip",
            215_242,
            "sha256:69924294546a71620c06374085cd6b0300665ea215e2f854f65a11929f1e723c",
        ),
        licence="none stated; the music is in the public domain",
        folder="JSB Chorales",
        num_files=382,
    ),
)
