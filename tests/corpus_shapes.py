"""Every corpus that is known, in small: archives with the same folders, served on this machine."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from tests.corpora import piece, score_of
from tests.fma_tables import metadata_files, music_files
from tests.loopback import Loopback, digest, tar_of, zip_of

from segue.core.corpus import Archive, Corpus
from segue.core.download import split_digest
from segue.symbolic.data.corpora import pop909

Files = Mapping[str, bytes]

# File names as they are met in the wild: accents, quotes, dots, leading blanks, bytes of no text.
BROKEN_NAMES = (
    "Artist A/Song.mid",
    "Artist A/Song.1.mid",
    "Beyonc\u00e9/D\u00e9j\u00e0 vu.mid",
    '!!!/What\'s this, "hey".mid',
    " blank/ .. .mid",
    "AC\udcff DC/no \udce9 text.MID",
    "- Artist/--help.mid",
    "日本/歌.mid",
)


def midi(seed: int) -> bytes:
    """A short piece of its own."""
    return bytes(score_of(piece(seed, bars=8)).dumps_midi())


def by_content(contents: list[bytes]) -> Files:
    """Files named by their contents, in the folder of the first digit."""
    names = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents]
    return {f"lmd_full/{n[0]}/{n}.mid": c for n, c in zip(names, contents, strict=True)}


def lmd_full() -> Files:
    """The whole of Lakh: sixteen folders, each with at least one piece, and damaged files."""
    files: dict[str, bytes] = {}
    seed = 0
    while len({name.split("/")[1] for name in files}) < 16:
        made = by_content([midi(seed)])
        folder = next(iter(made)).split("/")[1]
        if folder not in {name.split("/")[1] for name in files} or seed < 24:
            files |= made
        seed += 1
    return files | by_content([b"MThd no music", b""])


def lmd_matched(root: str) -> Files:
    """A part of Lakh by recording: three letters, then the number of the recording."""
    recordings = ("TRAAAGR128F425B14B", "TRAABQM128F92F2A1A", "TRBCDEF12903CC1234")
    return {
        f"{root}/{r[2]}/{r[3]}/{r[4]}/{r}/{digest(midi(n), 'md5')[4:]}.mid": midi(n)
        for n, r in enumerate(recordings)
    }


def clean_midi() -> Files:
    """Artists and titles, with names as they are."""
    files = {f"clean_midi/{name}": midi(n) for n, name in enumerate(BROKEN_NAMES)}
    return files | {"clean_midi/readme.txt": b"no music"}


def table(heads: list[str], rows: list[list[str]]) -> bytes:
    """A table as the makers publish it."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([heads, *rows])
    return text.getvalue().encode()


MAESTRO_ROWS = [
    ["Alban Berg", "Sonata Op. 1", "train", "2018", "2018/a, 01.midi", "2018/a.wav", "698.7"],
    ["Alban Berg", "Sonata Op. 1", "train", "2008", "2008/b.midi", "2008/b.wav", "759.5"],
    ["Frédéric Chopin", 'Étude "3"', "validation", "2017", "2017/c.midi", "2017/c.wav", "45.5"],
    ["Franz Liszt", "Liebestraum", "test", "2018", "2018/d.midi", "2018/d.wav", "245.1"],
    ["Franz Liszt", "A lost one", "test", "2018", "2018/lost.midi", "2018/lost.wav", "1.0"],
]


def maestro() -> Files:
    """Years, and the table of all performances; one file of it is missing."""
    heads = [
        "canonical_composer", "canonical_title", "split", "year", "midi_filename",
        "audio_filename", "duration",
    ]  # fmt: skip
    root = "maestro-v3.0.0"
    files = {f"{root}/{row[4]}": midi(n) for n, row in enumerate(MAESTRO_ROWS[:-1])}
    return files | {f"{root}/maestro-v3.0.0.csv": table(heads, MAESTRO_ROWS)}


def groove() -> Files:
    """Drummers, sessions, and the table of all performances."""
    heads = [
        "drummer", "session", "id", "style", "bpm", "beat_type", "time_signature",
        "midi_filename", "audio_filename", "duration", "split",
    ]  # fmt: skip
    rows = [
        [
            f"drummer{n}", f"drummer{n}/session1", f"drummer{n}/session1/1", "funk/groove1", "138",
            "beat", "4-4", f"drummer{n}/session1/1_funk-groove1_138_beat_4-4.mid",
            f"drummer{n}/session1/1.wav", "27.8", split,
        ]
        for n, split in enumerate(("train", "train", "validation", "test"), 1)
    ]  # fmt: skip
    files = {f"groove/{row[7]}": midi(n) for n, row in enumerate(rows)}
    return files | {"groove/info.csv": table(heads, rows)}


def in_folders(root: str) -> Files:
    """Training, validation and test in folders of their own."""
    names = [f"{split}/tune_{n}.mid" for split in ("train", "valid", "test") for n in range(3)]
    return {f"{root}/{name}": midi(n) for n, name in enumerate(names)}


def repository(root: str) -> Files:
    """A repository packed by its server: songs, other versions of them, and other things."""
    return {
        f"{root}/README.md": b"# Songs",
        f"{root}/POP909/001/001.mid": midi(0),
        f"{root}/POP909/001/versions/001-v1.mid": midi(1),
        f"{root}/POP909/002/002.mid": midi(2),
        f"{root}/POP909.zip": b"PK",
    }


SHAPES: dict[str, Callable[[], Files]] = {
    "fma_metadata.zip": metadata_files,
    **{
        f"fma_{subset}.zip": lambda subset=subset: music_files(subset)  # type: ignore[misc]
        for subset in ("small", "medium", "large", "full")
    },
    "lmd_full.tar.gz": lmd_full,
    "lmd_matched.tar.gz": lambda: lmd_matched("lmd_matched"),
    "lmd_aligned.tar.gz": lambda: lmd_matched("lmd_aligned"),
    "clean_midi.tar.gz": clean_midi,
    "maestro-v3.0.0-midi.zip": maestro,
    f"{pop909.COMMIT}.zip": lambda: repository(f"POP909-Dataset-{pop909.COMMIT}"),
    "groove-v1.0.0-midionly.zip": groove,
    "Nottingham.zip": lambda: in_folders("Nottingham"),
    "JSB Chorales.zip": lambda: in_folders("JSB Chorales"),
    **{
        f"Hooktheory_{split}_MIDI.tar.gz": lambda split=split: {  # type: ignore[misc]
            f"hooktheory/{split}/a.mid": midi(len(split))
        }
        for split in ("Train", "Valid", "Test")
    },
    "mid.tar.gz": lambda: {f"mid/{n}/0/Qm{n}.mid": midi(n) for n in range(3)},
    "subset_paths.tar.gz": lambda: {"subset_paths/all.txt": b"./data/0/0/Qm0.json\n"},
}
"""What is in the small archive of each file name."""


def packed(name: str, files: Files) -> bytes:
    """Pack files as the archive of that name is packed."""
    if name.endswith(".zip"):
        return zip_of(files, zipfile.ZIP_BZIP2 if name.startswith("fma") else zipfile.ZIP_DEFLATED)
    return tar_of(files)


def served(corpus: Corpus, loopback: Loopback) -> Corpus:
    """The corpus with small archives of the same shape, from this machine."""
    archives = []
    for archive in corpus.archives:
        content = packed(archive.file_name, SHAPES[archive.file_name]())
        path = f"/{PurePosixPath(archive.url).name}"
        loopback.files[path] = content
        hashed = archive.digest and digest(content, split_digest(archive.digest)[0])
        archives.append(Archive(f"{loopback.url}{path}", len(content), hashed, archive.exact))
    return replace(corpus, archives=tuple(archives))
