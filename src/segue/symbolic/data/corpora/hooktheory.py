"""Melodies with chords of pop songs, from the TheoryTab pages of Hooktheory.

Addresses and SHA-256: README of https://github.com/chrisdonahue/sheetsage; the files stand in its
repository of data, at one commit. Training, validation and test are archives of their own.
"""

from segue.core.corpus import Archive, Corpus

SERVER = (
    "https://github.com/chrisdonahue/sheetsage-data/raw/"
    "06113c04b109a2f27517b0399ff47550099f2466/hooktheory/"
)

CORPORA = (
    Corpus(
        name="hooktheory",
        title="melodies with chords from parts of pop songs",
        archives=(
            Archive(
                f"{SERVER}Hooktheory_Train_MIDI.tar.gz",
                2_700_002,
                "sha256:a2345e13564c81740c087b79731b47e8323c4ceb7b85d40a1a11582af58145cb",
            ),
            Archive(
                f"{SERVER}Hooktheory_Valid_MIDI.tar.gz",
                266_989,
                "sha256:e369fd4a3072c7524e3cafe506bbdad6e908de969d0f1ba7abf08bf5148989fe",
            ),
            Archive(
                f"{SERVER}Hooktheory_Test_MIDI.tar.gz",
                296_058,
                "sha256:3baebe9d4e19a5006d0f24bc7f0c92a4f66039ab376be86bf7b37a136d4fb6c8",
            ),
        ),
        licence="CC BY-NC-SA 3.0; the songs are under copyright",
        citation=(
            "C. Donahue, J. Thickstun, P. Liang: Melody Transcription via Generative Pre-Training. "
            "23rd International Society for Music Information Retrieval Conference (ISMIR), 2022"
        ),
        homepage="https://github.com/chrisdonahue/sheetsage",
    ),
)
