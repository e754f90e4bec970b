"""Downloads: whole, resumed, refused; never silent."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.loopback import Loopback, digest, serve

from segue.core import download as module
from segue.core.download import download, require_space, split_digest
from segue.errors import DataError, SettingError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as server:
        server.files["/a.zip"] = CONTENT
        yield server


def get(loopback: Loopback, target: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {
        "num_bytes": len(CONTENT),
        "digest": digest(CONTENT),
        "pause_s": 0.0,
        "timeout_s": 5.0,
    }
    return download(f"{loopback.url}/a.zip", target, **(settings | changes))


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
def test_a_whole_file_arrives_under_its_hash(
    loopback: Loopback, tmp_path: Path, algorithm: str
) -> None:
    target = tmp_path / "new" / "a.zip"
    assert get(loopback, target, digest=digest(CONTENT, algorithm)) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("ranges", [True, False])
def test_progress_ends_at_the_total(loopback: Loopback, tmp_path: Path, ranges: bool) -> None:
    told: dict[str, list[float]] = {}

    @contextlib.contextmanager
    def progress(label: str, *, total: float | None = None) -> Iterator[Any]:
        told[label] = [total or 0, 0]

        def advance(count: float = 1) -> None:
            told[label][1] += count

        yield advance

    loopback.ranges, loopback.cuts = ranges, [1_000_000]
    get(loopback, tmp_path / "a.zip", progress=progress)
    assert len(told) == 2
    for total, done in told.values():
        assert done == pytest.approx(total) == pytest.approx(3.0)


def test_a_cut_connection_is_taken_up_where_it_was_cut(loopback: Loopback, tmp_path: Path) -> None:
    loopback.cuts = [1_000_000, 500_000, 1]
    assert get(loopback, tmp_path / "a.zip").read_bytes() == CONTENT
    ranges = [wanted for _, wanted in loopback.asked]
    assert ranges == [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500001-"]
    assert loopback.num_sent == len(CONTENT)


def test_attempts_count_only_while_nothing_comes(loopback: Loopback, tmp_path: Path) -> None:
    loopback.cuts = [100_000] * 20
    assert get(loopback, tmp_path / "a.zip", retries=0).read_bytes() == CONTENT


def test_what_came_stays_and_the_next_call_goes_on(loopback: Loopback, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    loopback.cuts = [2_000_000, 0, 0, 0]
    with pytest.raises(DataError, match=r"2\.0 of 3\.0 MB .* run the same command again"):
        get(loopback, target, retries=2)
    assert not target.exists()
    assert (tmp_path / "a.zip.part").read_bytes() == CONTENT[:2_000_000]
    get(loopback, target)
    assert loopback.asked[-1] == ("/a.zip", "bytes=2000000-")
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_it_all_again(loopback: Loopback, tmp_path: Path) -> None:
    loopback.ranges, loopback.cuts = False, [1_000_000]
    assert get(loopback, tmp_path / "a.zip").read_bytes() == CONTENT
    assert loopback.num_sent == len(CONTENT) + 1_000_000


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(
    loopback: Loopback, tmp_path: Path
) -> None:
    loopback.ranges, loopback.cuts = False, [1_000_000] * 9
    with pytest.raises(DataError, match="connection ended"):
        get(loopback, tmp_path / "a.zip", retries=3)
    assert len(loopback.asked) == 5


def test_a_wrong_hash_leaves_nothing(loopback: Loopback, tmp_path: Path) -> None:
    wrong = digest(CONTENT + b"x", "sha1")
    with pytest.raises(DataError, match="not the file that was published: its sha1 is"):
        get(loopback, tmp_path / "a.zip", digest=wrong)
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_refused_before_a_byte_is_taken(loopback: Loopback, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3,000,000 bytes instead of 2,999,999"):
        get(loopback, tmp_path / "a.zip", num_bytes=len(CONTENT) - 1)
    assert list(tmp_path.iterdir()) == []
    assert len(loopback.asked) == 1


def test_more_than_was_promised_is_refused(loopback: Loopback, tmp_path: Path) -> None:
    loopback.tells_length = False
    with pytest.raises(DataError, match="sent more than"):
        get(loopback, tmp_path / "a.zip", num_bytes=1_000_000)
    assert not (tmp_path / "a.zip").exists()


def test_a_rounded_size_gives_way_to_the_server(loopback: Loopback, tmp_path: Path) -> None:
    loopback.cuts = [1_000_000]
    target = get(loopback, tmp_path / "a.zip", num_bytes=2_000_000, exact=False)
    assert target.read_bytes() == CONTENT


def test_a_whole_unfinished_file_is_only_checked(loopback: Loopback, tmp_path: Path) -> None:
    part = tmp_path / "a.zip.part"
    part.write_bytes(CONTENT)
    get(loopback, tmp_path / "a.zip")
    assert loopback.asked == []
    part.write_bytes(CONTENT)
    (tmp_path / "a.zip").unlink()
    get(loopback, tmp_path / "a.zip", num_bytes=1, exact=False)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert loopback.num_sent == 0


@pytest.mark.parametrize("exact", [True, False])
def test_an_unfinished_file_that_is_too_long_is_thrown_away(
    loopback: Loopback, tmp_path: Path, exact: bool
) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"x" * (len(CONTENT) + 1))
    assert get(loopback, tmp_path / "a.zip", exact=exact).read_bytes() == CONTENT


def test_a_file_that_is_there_is_checked_and_not_asked_for(
    loopback: Loopback, tmp_path: Path
) -> None:
    target = tmp_path / "a.zip"
    target.write_bytes(CONTENT)
    get(loopback, target)
    target.write_bytes(b"mine")
    with pytest.raises(DataError, match="Remove it and run again"):
        get(loopback, target)
    assert target.read_bytes() == b"mine"
    assert loopback.asked == []


def test_a_web_page_is_not_an_archive(loopback: Loopback, tmp_path: Path) -> None:
    loopback.redirects["/a.zip"] = "/login"
    loopback.files["/login"] = b"<html>Sign in</html>"
    loopback.headers["Content-Type"] = "text/html; charset=utf-8"
    with pytest.raises(DataError, match=r"web page .* came from .*/login"):
        get(loopback, tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_to_the_file_is_followed(loopback: Loopback, tmp_path: Path) -> None:
    loopback.redirects["/a.zip"] = "/b.zip"
    loopback.files["/b.zip"] = CONTENT
    loopback.cuts = [1_000_000]
    assert get(loopback, tmp_path / "a.zip").read_bytes() == CONTENT
    assert loopback.asked[-1] == ("/b.zip", "bytes=1000000-")


@pytest.mark.parametrize("new", ["http://example.org/a.zip", "ftp://example.org/a.zip"])
def test_a_redirect_out_of_encryption_is_refused(new: str) -> None:
    request = module.urllib.request.Request("https://example.org/a.zip")
    with pytest.raises(DataError, match="not encrypted"):
        module._Redirects().redirect_request(request, None, 302, "Found", {}, new)


def test_a_missing_file_is_told_at_once(loopback: Loopback, tmp_path: Path) -> None:
    loopback.files.clear()
    with pytest.raises(DataError, match="HTTP 404"):
        get(loopback, tmp_path / "a.zip")
    assert len(loopback.asked) == 1


def test_a_busy_server_is_asked_again(loopback: Loopback, tmp_path: Path) -> None:
    loopback.statuses = [503, 429]
    assert get(loopback, tmp_path / "a.zip").read_bytes() == CONTENT
    loopback.statuses = [503] * 9
    with pytest.raises(DataError, match="HTTP 503"):
        get(loopback, tmp_path / "b.zip", retries=2)


def test_nobody_there(tmp_path: Path) -> None:
    with serve() as server:
        url = server.url
    with pytest.raises(DataError, match=r"could not be downloaded: .*refused"):
        get(Loopback(url=url), tmp_path / "a.zip", retries=1)


def test_a_full_disk_is_seen_beforehand(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1_000))
    with pytest.raises(DataError, match=r"disk is too small for a\.zip"):
        get(loopback, tmp_path / "a.zip")
    assert loopback.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_disk_that_fills_up_is_told(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(module, "_open_part", lambda part: full)
        with pytest.raises(DataError, match=r"No space left on device.*make room"):
            get(loopback, tmp_path / "a.zip")
    assert len(loopback.asked) == 1


def test_a_folder_that_cannot_be_made_is_told(loopback: Loopback, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="Cannot make"):
        get(loopback, tmp_path / "file" / "a.zip")


@pytest.mark.parametrize(
    "text", ["", "sha1", "sha1:12", "crc32:00000000", f"sha1:{'g' * 40}", f"sha1:{'A' * 40}"]
)
def test_hashes_that_are_none(text: str) -> None:
    with pytest.raises(SettingError, match="is no hash"):
        split_digest(text)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "a.zip"])
def test_addresses_that_are_not_of_the_web(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no address of the web"):
        download(url, tmp_path / "a", num_bytes=1, digest=digest(b""))


def test_room_is_asked_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "yet", 1, "a byte")
    with pytest.raises(DataError, match=r"1000000\.00 GB are needed"):
        require_space(tmp_path / "not" / "yet", 10**15, "much")
