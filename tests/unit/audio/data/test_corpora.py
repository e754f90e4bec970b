"""What holds for every corpus that can be downloaded by name."""

import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.fma_tables import metadata_files, music_files
from tests.loopback import Loopback, digest, serve, zip_of

from segue.audio.data.corpora.registry import audio_corpora
from segue.core.corpus import Archive, Corpus, fetch
from segue.core.download import split_digest

CORPORA = {corpus.name: corpus for corpus in audio_corpora()}
# An archive of the same shape for every archive of a corpus, packed as the real ones are.
SHAPES = {"fma_metadata.zip": metadata_files()} | {
    f"fma_{subset}.zip": music_files(subset) for subset in ("small", "medium", "large", "full")
}


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as server:
        yield server


def served(corpus: Corpus, loopback: Loopback) -> Corpus:
    """The corpus with small archives of the same shape, from this machine."""
    archives = []
    for archive in corpus.archives:
        content = zip_of(SHAPES[archive.file_name], zipfile.ZIP_BZIP2)
        loopback.files[f"/{archive.file_name}"] = content
        url = f"{loopback.url}/{archive.file_name}"
        archives.append(
            Archive(url, len(content), digest(content, split_digest(archive.digest)[0]))
        )
    return replace(corpus, archives=tuple(archives))


def test_names_are_told_apart() -> None:
    assert len(CORPORA) == len(audio_corpora()) >= 5


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_says_all_that_a_person_must_know(name: str) -> None:
    corpus = CORPORA[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert corpus.archives
    for archive in corpus.archives:
        assert urlsplit(archive.url).scheme == "https"
        assert archive.num_bytes > 1_000_000
        assert split_digest(archive.digest)[0] in {"md5", "sha1", "sha256"}
        assert archive.file_name.endswith((".zip", ".tar", ".tar.gz", ".tgz"))
    assert urlsplit(corpus.homepage).scheme == "https"
    for text in (corpus.title, corpus.licence, corpus.citation):
        assert len(text) >= 5
        assert "\n" not in text
    assert (corpus.num_files is None) == (corpus.hours is None)


def test_the_same_archive_is_described_alike() -> None:
    archives = [archive for corpus in CORPORA.values() for archive in corpus.archives]
    assert len({archive.url for archive in archives}) == len(set(archives))
    assert len({archive.file_name for archive in archives}) == len(set(archives))


@pytest.mark.parametrize("name", CORPORA)
def test_a_small_archive_of_the_same_shape_goes_all_the_way(
    name: str, loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = served(CORPORA[name], loopback)
    loopback.cuts = [100]
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    counts = fetch(corpus, tmp_path)
    assert counts["unpacked files"] > 0
    assert fetch(corpus, tmp_path)["unpacked files"] == 0
    if corpus.prepare is not None:
        assert counts["train"] > 0
        assert len(list(tmp_path.glob("*/splits.csv"))) == 1
