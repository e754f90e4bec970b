"""What holds for everything that can be downloaded by name: audio, MIDI, weights."""

import re
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.corpus_shapes import served
from tests.loopback import Loopback

from segue.cli.data import all_corpora, describe, facts
from segue.core.corpus import Archive, fetch
from segue.core.download import split_digest

KINDS = {corpus.name: kind for kind, corpus in all_corpora()}
CORPORA = {corpus.name: corpus for _, corpus in all_corpora()}
# Servers that offer no encryption; the hash of their files is the only proof.
HTTP_ONLY = {"hog.ee.columbia.edu"}


def test_names_are_told_apart() -> None:
    assert len(CORPORA) == len(all_corpora())
    for name in ("fma-medium", "lakh-full", "lakh-clean", "maestro", "pop909", "groove"):
        assert name in CORPORA
    assert {"audio", "midi", "weights"} == set(KINDS.values())


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_says_all_that_a_person_must_know(name: str) -> None:
    corpus = CORPORA[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert corpus.archives
    assert urlsplit(corpus.homepage).scheme == "https"
    for text in (corpus.title, corpus.licence, corpus.citation):
        assert len(text) >= 5
        assert "\n" not in text
    assert re.search(r"\b(19|20)\d\d\b", corpus.citation)
    assert corpus.num_files is None or 100 <= corpus.num_files < 1_000_000
    assert corpus.hours is None or corpus.num_files is not None


def _check_package(archive: Archive) -> None:
    """What pip fetches is one version, one file, one hash."""
    package, _, file = archive.url.removeprefix("pip:").partition("/")
    name, _, version = package.partition("==")
    assert re.fullmatch(r"[\d.]+", version)
    assert file == archive.file_name == f"{name}-{version}-py3-none-any.whl"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", archive.digest or "")
    assert archive.exact
    assert 1e6 < archive.num_bytes < 1e9


@pytest.mark.parametrize("name", CORPORA)
def test_an_archive_is_found_checked_and_of_a_sane_size(name: str) -> None:
    for archive in CORPORA[name].archives:
        address = urlsplit(archive.url)
        if address.scheme == "pip":
            _check_package(archive)
            continue
        assert address.scheme == ("http" if address.hostname in HTTP_ONLY else "https")
        assert 100_000 < archive.num_bytes < 10**12
        endings = (".zip", ".tar", ".tar.gz", ".tgz") if archive.unpacked else (".whl",)
        assert archive.file_name.endswith(endings)
        if archive.digest is None:
            # Packed anew for each request: the address must name one version for ever.
            assert re.search(r"/[0-9a-f]{40}\.zip$", archive.url)
            assert not archive.exact
        else:
            assert split_digest(archive.digest)[0] in {"md5", "sha1", "sha256"}
        if address.scheme == "http":
            assert archive.digest is not None
            assert archive.digest.startswith("sha256:")


@pytest.mark.parametrize("name", CORPORA)
def test_all_of_it_is_told_to_machines_and_people(name: str) -> None:
    corpus = CORPORA[name]
    told = describe(corpus, KINDS[name])
    assert set(told) == {
        "name", "kind", "title", "bytes", "exact", "files", "hours", "licence", "citation",
        "homepage", "archives",
    }  # fmt: skip
    assert told["kind"] in {"audio", "midi", "weights"}
    assert told["bytes"] == sum(archive["bytes"] for archive in told["archives"])
    assert {tuple(archive) for archive in told["archives"]} == {("url", "bytes", "digest")}
    said = "\n".join(facts(corpus))
    for archive in corpus.archives:
        assert archive.url in said
        assert (archive.digest or "no hash is published") in said
    for text in (corpus.licence, corpus.citation, corpus.homepage):
        assert text in said


@pytest.mark.parametrize("name", [name for name in CORPORA if KINDS[name] == "weights"])
def test_weights_stay_the_file_that_was_published(name: str) -> None:
    (archive,) = CORPORA[name].archives
    assert not archive.unpacked
    assert archive.exact
    assert archive.digest is not None
    assert archive.digest.startswith("sha256:")


def test_the_same_archive_is_described_alike() -> None:
    archives = [archive for corpus in CORPORA.values() for archive in corpus.archives]
    assert len({archive.url for archive in archives}) == len(set(archives))
    assert len({archive.file_name for archive in archives}) == len(set(archives))


@pytest.mark.parametrize("name", [name for name in CORPORA if KINDS[name] != "weights"])
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
