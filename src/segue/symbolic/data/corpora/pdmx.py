"""PDMX: scores that their authors gave to the public domain on MuseScore, as MIDI.

Addresses, sizes and MD5: https://zenodo.org/records/15571083. The second archive lists subsets; the
makers advise to take ``no_license_conflict``, since for the other scores the file and the web page
state different licences.
"""

from segue.core.corpus import Archive, Corpus

SERVER = "https://zenodo.org/records/15571083/files/"

CORPORA = (
    Corpus(
        name="pdmx",
        title="scores of all kinds given to the public domain on MuseScore",
        archives=(
            Archive(f"{SERVER}mid.tar.gz", 214_395_208, "md5:d920a21b2fcd99a56d9c381b39debbb2"),
            Archive(
                f"{SERVER}subset_paths.tar.gz", 29_258_714, "md5:092eee416ece8060f77d08575b94a43d"
            ),
        ),
        licence=(
            "CC BY 4.0 for the collection; each score public domain or CC0 as stated on MuseScore, "
            "12 % with a contradiction (subset_paths lists those without)"
        ),
        citation=(
            "P. Long, Z. Novack, T. Berg-Kirkpatrick, J. McAuley: PDMX: A Large-Scale Public Domain "
            "MusicXML Dataset for Symbolic Music Processing. IEEE International Conference on "
            "Acoustics, Speech and Signal Processing (ICASSP), 2025"
        ),
        homepage="https://zenodo.org/records/15571083",
        num_files=254_035,
    ),
)
