"""The Lakh MIDI dataset: the whole, and the three parts that its author made of it.

Addresses: https://colinraffel.com/projects/lmd/ (version 0.1); the server offers no encryption, the
hash decides. The author publishes neither sizes nor hashes. Those of full, matched and aligned are
MusPy's (``muspy/datasets/lmd.py``); those of the clean subset are stated alike by several programs
that download it. Numbers of files are those in the archives: the whole holds 178,561, although its
author counts 176,581 different ones.
"""

from segue.core.corpus import Archive, Corpus

SERVER = "http://hog.ee.columbia.edu/craffel/lmd/"
HOMEPAGE = "https://colinraffel.com/projects/lmd/"
LICENCE = (
    "CC BY 4.0 for the collection; most of the songs in it are under the copyright of others, who "
    "were not asked"
)
CITATION = (
    "C. Raffel: Learning-Based Methods for Comparing Sequences, with Applications to Audio-to-MIDI "
    "Alignment and Matching. PhD thesis, Columbia University, 2016"
)


def _corpus(name: str, title: str, archive: Archive, num_files: int | None) -> Corpus:
    """Describe one part."""
    return Corpus(
        name=f"lakh-{name}",
        title=title,
        archives=(archive,),
        licence=LICENCE,
        citation=CITATION,
        homepage=HOMEPAGE,
        num_files=num_files,
    )


CORPORA = (
    _corpus(
        "full",
        "all files, named by their contents, in folders 0 to f",
        Archive(
            f"{SERVER}lmd_full.tar.gz",
            1_768_163_879,
            "sha256:6fcfe2ac49ca08f3f214cec86ab138d4fc4dabcd7f27f491a838dae6db45a12b",
        ),
        178_561,
    ),
    _corpus(
        "matched",
        "those that match a recording of the Million Song Dataset, by recording",
        Archive(
            f"{SERVER}lmd_matched.tar.gz",
            1_407_072_670,
            "sha256:621ff830aed771f469e5bfa13dc12a33c6ed69090adeda63d0b5c47783af0191",
        ),
        116_189,
    ),
    _corpus(
        "aligned",
        "the matched ones, aligned with the previews of their recordings",
        Archive(
            f"{SERVER}lmd_aligned.tar.gz",
            272_169_548,
            "sha256:2bf5400e82eba73204644946515489b68811e1e656b0cfd854efc14377f6e53b",
        ),
        None,
    ),
    _corpus(
        "clean",
        "those whose file names tell artist and title, by artist",
        Archive(
            f"{SERVER}clean_midi.tar.gz",
            234_283_029,
            "sha256:de1bb64cbc0cf35545a05b5c3e786aa6890cfa144edffc4b827ff41bf8c33dc5",
        ),
        17_256,
    ),
)
