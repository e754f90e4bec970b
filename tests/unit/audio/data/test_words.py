"""Labels and captions: cells, tables, eras."""

from pathlib import Path

import pytest

from segue.audio.data.cache import Recording, read_recordings, write_recordings
from segue.audio.data.latent_cache import CachedRecording, read_cached, write_cached
from segue.audio.data.scan import Header, Source
from segue.audio.data.split import count_unknown, place_files
from segue.audio.data.words import (
    Metadata,
    Words,
    captions_of,
    join,
    read_metadata,
    read_words,
    split,
)
from segue.core.split import SplitSettings
from segue.errors import DataError


def test_a_cell_holds_several_texts_and_gives_them_back() -> None:
    texts = ("rock", "slow, in A minor", "naïve")
    assert split(join(texts)) == texts
    assert join(["a|b", " c \n d ", "", "a/b"]) == "a/b|c d"
    assert split(None) == split("") == split(" | ") == ()


def test_rows_of_older_folders_have_their_label_alone() -> None:
    assert read_words({"label": "rock"}) == Words(("rock",))
    assert read_words({"label": ""}) == Words()
    row = {"label": "rock", "labels": "rock|jazz", "captions": "loud|fast"}
    assert read_words(row) == Words(("rock", "jazz"), ("loud", "fast"))


def test_captions_are_made_of_labels_where_there_are_none() -> None:
    assert captions_of(["rock"]) == ("rock music",)
    assert captions_of(["rock", "jazz", "folk", "x"]) == ("rock music", "rock, jazz, folk music")
    assert captions_of([]) == ()
    assert Words(("rock",)).with_caption().captions == ("rock music",)
    assert Words(("rock",), ("loud",)).with_caption().captions == ("loud",)


def test_an_era_is_a_label_and_told_in_captions_once() -> None:
    told = Words(("piano",), ("solo piano", "slow piano")).with_era("baroque")
    assert told == Words(("piano", "baroque"), ("solo piano", "slow piano, baroque"))
    assert told.with_era("baroque") == told
    assert told.with_era("") == told
    assert Words(("piano",)).with_era("modern").captions == ("piano music", "piano music, modern")


def test_a_table_knows_better_and_adds() -> None:
    own = Words(("mutopia", "piano"), ("solo piano",))
    assert Metadata().over(own) == own
    row = Metadata(Words(("keys",), ("a prelude",)))
    assert row.over(own) == Words(("keys",), ("a prelude", "solo piano"))


def test_a_table_of_metadata(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    assert read_metadata(path) == {}
    path.write_text(
        'path,labels,captions,artist,era\na\\1.ogg,rock|loud,"fast, loud",Ann,\n2.ogg,,,,modern\n',
        encoding="utf-8-sig",
    )
    assert read_metadata(path) == {
        "a/1.ogg": Metadata(Words(("rock", "loud"), ("fast, loud",)), "Ann"),
        "2.ogg": Metadata(era="modern"),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n", "Did you mean labels"),
        ("labels\nrock\n", "no column path"),
        ("path,labels\na,x\na,y\n", "names a twice"),
        ("path,labels\n\x80", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        read_metadata(path)


def test_places_follow_the_table(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(
        "path,labels,artist,era\nrock/1.ogg,metal|loud,Ann,\ngone.ogg,x,,\nfolk/3.mid,,,baroque\n"
    )
    names = ["rock/1.ogg", "rock/2.ogg", "folk/3.mid"]
    sources = [Source(tmp_path, name, 1, 1, 0) for name in names]
    heard = Words(("piano",), ("solo piano", "slow piano"))
    headers = [Header("", 60), Header("Bob", 60), Header("", 60, heard)]
    keep = SplitSettings(valid_share=0, test_share=0)
    first, second, third = place_files(
        sources, headers, keep, group_by="auto", min_seconds=1, seed=0
    )
    assert (first.label, first.labels, first.group) == ("metal", ("metal", "loud"), "artist ann")
    assert (second.labels, second.captions) == (("rock",), ("rock music",))
    assert third.labels == ("folk", "piano", "baroque")
    assert third.captions == ("solo piano", "slow piano, baroque")
    assert count_unknown(sources) == 1


def test_lists_keep_labels_and_captions(tmp_path: Path) -> None:
    words = (("rock", "loud"), ("fast, loud", "rock"))
    rows = [
        Recording("a", "rock", "g", 0, 5, -20.0, -1.0, 0.0, "00", 0.0, *words),
        Recording("b", "", "g", 5, 5, -20.0, -1.0, 0.0, "01", 0.0),
    ]
    write_recordings(tmp_path / "recordings.csv", rows)
    assert read_recordings(tmp_path / "recordings.csv") == rows
    cached = [CachedRecording("a", "rock", 0, 5, *words), CachedRecording("b", "", 5, 5)]
    write_cached(tmp_path / "cached.csv", cached)
    assert read_cached(tmp_path / "cached.csv") == cached
    (tmp_path / "old.csv").write_text("name,label,offset_frames,num_frames\na,rock,0,5\nb,,5,5\n")
    assert [row.labels for row in read_cached(tmp_path / "old.csv")] == [("rock",), ()]
