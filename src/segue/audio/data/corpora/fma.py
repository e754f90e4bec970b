"""FMA, the Free Music Archive as a data set: five archives, genres, splits without common artists.

Addresses, SHA-1 and rounded sizes: README of https://github.com/mdeff/fma (release of 2017-05-09).
The sizes to the byte of the first four are what its server states, as recorded by programs that
read these archives piecewise; for ``fma_full.zip`` only the rounded 879 GiB are known.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from segue.audio.data.corpora.fma_tracks import write_splits
from segue.core.corpus import Archive, Corpus

SERVER = "https://os.unil.cloud.switch.ch/fma/"
HOMEPAGE = "https://github.com/mdeff/fma"
CITATION = (
    "M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson: FMA: A Dataset for Music Analysis. "
    "18th International Society for Music Information Retrieval Conference (ISMIR), 2017. "
    "arXiv:1612.01840"
)
LICENCE = (
    "each track under the licence that its artist chose, many of them NonCommercial "
    "(credits.csv names it per track); tables CC BY 4.0; meant for research"
)
GIB = 1 << 30

METADATA = Archive(
    f"{SERVER}fma_metadata.zip", 358_412_441, "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733"
)
SMALL = Archive(
    f"{SERVER}fma_small.zip", 7_679_594_875, "sha1:ade154f733639d52e35e32f5593efe5be76c6d70"
)
MEDIUM = Archive(
    f"{SERVER}fma_medium.zip", 23_825_005_356, "sha1:c67b69ea232021025fca9231fc1c7c1a063ab50b"
)
LARGE = Archive(
    f"{SERVER}fma_large.zip", 100_306_112_191, "sha1:497109f4dd721066b5ce5e5f250ec604dc78939e"
)
FULL = Archive(
    f"{SERVER}fma_full.zip",
    879 * GIB,
    "sha1:0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab",
    exact=False,
)


def _prepare(folder: Path, *, subset: str) -> Mapping[str, int]:
    """Write the tables that `segue audio prepare` reads, beside the music of one subset."""
    return write_splits(folder / "fma_metadata", folder / f"fma_{subset}", subset=subset)


def _corpus(subset: str, title: str, archive: Archive, num_files: int, hours: float) -> Corpus:
    """Describe one subset; the tables come with it, for genres and splits."""
    return Corpus(
        name=f"fma-{subset}",
        title=title,
        archives=(METADATA, archive),
        licence=LICENCE,
        citation=CITATION,
        homepage=HOMEPAGE,
        num_files=num_files,
        hours=hours,
        prepare=partial(_prepare, subset=subset),
    )


CORPORA = (
    _corpus("small", "8,000 clips of 30 s, 8 balanced genres", SMALL, 8_000, 66.7),
    _corpus("medium", "25,000 clips of 30 s, 16 genres", MEDIUM, 25_000, 208.3),
    _corpus("large", "106,574 clips of 30 s, 161 genres", LARGE, 106_574, 888.1),
    _corpus("full", "106,574 whole tracks, 161 genres", FULL, 106_574, 8_232.0),
    Corpus(
        name="fma-metadata",
        title="tables of all tracks: genres, artists, licences, features; no music",
        archives=(METADATA,),
        licence="CC BY 4.0",
        citation=CITATION,
        homepage=HOMEPAGE,
    ),
)
