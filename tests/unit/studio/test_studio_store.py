"""The shelf: whole items or none, room that is made without taking what is kept, damaged folders."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.studio_served import served

from segue.errors import DataError, SettingError
from segue.studio import store as store_module
from segue.studio.problems import NotFound, TooLarge
from segue.studio.server import LOCK_NAME, locked
from segue.studio.store import META_NAME, Store


def opened(folder: Path, **limits: int) -> Store:
    return Store(folder, **{"max_bytes": 1_000_000, "max_items": 100, **limits})


def writer(content: bytes = b"notes", name: str = "piece.mid") -> Any:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def add(store: Store, content: bytes = b"notes", *, listed: bool = True, **meta: Any) -> str:
    return store.add("piece", {"name": "a", **meta}, writer(content), listed=listed)


def on_disk(folder: Path) -> set[str]:
    return {path.name for path in (folder / "items").iterdir()}


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing count as in use."""
    monkeypatch.setattr(store_module, "IN_USE_SECONDS", -1.0)


def test_an_item_is_there_with_its_files_and_meta_data(tmp_path: Path) -> None:
    store = opened(tmp_path)
    item = add(store, b"12345", seconds=3.5)
    meta = store.meta(item, kind="piece")
    assert (meta["id"], meta["seconds"], meta["size_bytes"], meta["listed"]) == (item, 3.5, 5, True)
    assert store.path(item, "piece.mid").read_bytes() == b"12345"
    assert len(item) == 16
    assert set(item) <= set("0123456789abcdef")


def test_what_a_user_names_itself_cannot_take_the_place_of_ids(tmp_path: Path) -> None:
    store = opened(tmp_path)
    item = add(store)
    entry = store.meta(item, kind="piece")
    assert store.meta(store.add("piece", entry, writer(), listed=False), kind="piece")["id"] != item


def test_the_shelf_survives_a_restart_newest_first(tmp_path: Path) -> None:
    store = opened(tmp_path)
    made = [add(store, name=str(index)) for index in range(3)]
    hidden = add(store, listed=False)
    again = opened(tmp_path)
    assert [entry["id"] for entry in again.listed()] == made[::-1]
    assert again.meta(hidden, kind="piece")["listed"] is False


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../piece.mid",
        "/etc/passwd",
        META_NAME,
        "",
        ".",
        "a/b",
        "a\\b",
        "piece.mid\0",
        "none.mid",
    ],
)
def test_no_name_leads_out_of_an_item(tmp_path: Path, name: str) -> None:
    store = opened(tmp_path)
    item = add(store)
    with pytest.raises(NotFound):
        store.path(item, name)


@pytest.mark.parametrize("item", ["..", "", "../items", "0" * 16, "x" * 16, "/"])
def test_no_id_leads_out_of_the_shelf(tmp_path: Path, item: str) -> None:
    store = opened(tmp_path)
    add(store)
    for ask in (
        lambda: store.path(item, "piece.mid"),
        lambda: store.meta(item, kind="piece"),
        lambda: store.remove(item),
    ):
        with pytest.raises(NotFound):
            ask()
    assert len(store.listed()) == 1


def test_a_piece_is_no_recording(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(NotFound):
        store.meta(add(store), kind="recording")


def test_removed_is_removed_on_disk_too(tmp_path: Path) -> None:
    store = opened(tmp_path)
    item = add(store)
    store.remove(item)
    assert on_disk(tmp_path) == set()
    assert list((tmp_path / "staging").iterdir()) == []
    with pytest.raises(NotFound):
        store.remove(item)


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "piece.mid").write_bytes(b"half")
        raise DataError("no")

    store = opened(tmp_path)
    with pytest.raises(DataError, match="no"):
        store.add("piece", {}, broken, listed=True)
    assert (on_disk(tmp_path), list((tmp_path / "staging").iterdir())) == (set(), [])


def no_space(folder: Path) -> None:
    (folder / "piece.mid").write_bytes(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_space_told(folder: Path) -> None:
    try:
        no_space(folder)
    except OSError as error:
        raise DataError("Cannot write.") from error


@pytest.mark.parametrize("write", [no_space, no_space_told])
def test_a_full_disk_is_said_and_survived(tmp_path: Path, write: Any) -> None:
    store = opened(tmp_path)
    kept = add(store)
    with pytest.raises(TooLarge, match=r"disk .* is full"):
        store.add("piece", {}, write, listed=True)
    assert on_disk(tmp_path) == {kept}
    add(store)


def test_a_disk_that_fills_during_an_upload_is_said(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with pytest.raises(TooLarge, match="is full"), store.scratch() as folder:
        no_space(folder)
    assert list((tmp_path / "staging").iterdir()) == []


def test_another_failure_of_the_disk_is_not_called_full(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(OSError, match=r"Input/output|I/O"):
        opened(tmp_path).add("piece", {}, broken, listed=True)


def test_half_written_items_are_swept_at_the_start(tmp_path: Path) -> None:
    store = opened(tmp_path)
    item = add(store)
    left = tmp_path / "staging" / "0123456789abcdef"
    left.mkdir()
    (left / "piece.mid").write_bytes(b"half")
    assert [entry["id"] for entry in opened(tmp_path).listed()] == [item]
    assert not left.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe\x00", b"[" * 100_000,
        b'{"id": "0123456789abcdef"}',
        b'{"id": "1123456789abcdef", "kind": "piece", "listed": true, "created": "", "size_bytes": 1}',
        b'{"id": "0123456789abcdef", "kind": "piece", "listed": 1, "created": "", "size_bytes": 1}',
        b'{"id": "0123456789abcdef", "kind": "piece", "listed": true, "created": 3, "size_bytes": 1}',
    ],
)  # fmt: skip
def test_damaged_items_are_passed_by_and_left(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    item = add(opened(tmp_path))
    damaged = tmp_path / "items" / "0123456789abcdef"
    damaged.mkdir()
    (damaged / META_NAME).write_bytes(content)
    assert [entry["id"] for entry in opened(tmp_path).listed()] == [item]
    assert damaged.is_dir()
    assert "damaged" in caplog.text


def test_stray_files_and_folders_are_passed_by(tmp_path: Path) -> None:
    item = add(opened(tmp_path))
    (tmp_path / "items" / "notes.txt").write_text("mine")
    (tmp_path / "items" / "empty").mkdir()
    (tmp_path / "items" / "f").symlink_to(tmp_path / "nowhere")
    assert [entry["id"] for entry in opened(tmp_path).listed()] == [item]


@pytest.mark.usefixtures("old")
def test_room_is_made_by_the_oldest_unlisted_items(tmp_path: Path) -> None:
    store = opened(tmp_path, max_bytes=30)
    kept = add(store, b"x" * 10)
    hidden = [add(store, b"x" * 10, listed=False) for _ in range(2)]
    new = add(store, b"x" * 10)
    assert on_disk(tmp_path) == {kept, hidden[1], new}


@pytest.mark.usefixtures("old")
def test_what_the_user_keeps_is_never_removed(tmp_path: Path) -> None:
    for name, limits in (("bytes", {"max_bytes": 30}), ("items", {"max_items": 3})):
        store = opened(tmp_path / name, **limits)
        made = [add(store, b"x" * 10) for _ in range(3)]
        with pytest.raises(TooLarge, match="shelf is full"):
            add(store, b"x")
        with pytest.raises(TooLarge, match="shelf is full"):
            store.check_room()
        assert on_disk(tmp_path / name) == set(made)
        store.remove(made[0])
        add(store, b"x")


def test_what_was_just_asked_for_is_not_removed_to_make_room(tmp_path: Path) -> None:
    store = opened(tmp_path, max_bytes=20)
    hidden = add(store, b"x" * 15, listed=False)
    with pytest.raises(TooLarge):
        add(store, b"x" * 15)
    assert on_disk(tmp_path) == {hidden}


@pytest.mark.usefixtures("old")
def test_of_what_stands_on_no_shelf_the_newest_stay(tmp_path: Path) -> None:
    store = opened(tmp_path, max_unlisted=2)
    kept = [add(store), add(store, listed=False)]
    store.keep(kept[1])
    hidden = [add(store, listed=False) for _ in range(4)]
    assert on_disk(tmp_path) == {*kept, *hidden[2:]}
    last = add(store)
    assert on_disk(tmp_path) == {*kept, *hidden[2:], last}


def test_what_is_put_on_the_shelf_stands_there_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    item = add(store, listed=False, seconds=2.0)
    before = store.meta(item, kind="piece")
    store.keep(item)
    store.keep(item)
    again = opened(tmp_path)
    assert again.listed() == store.listed() == [{**before, "listed": True}]
    assert again.path(item, "piece.mid").read_bytes() == b"notes"
    assert not list((tmp_path / "staging").iterdir())
    with pytest.raises(NotFound):
        store.keep("0123456789abcdef")


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot use the folder"):
        opened(tmp_path / "file")


def test_two_studios_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        locked(tmp_path, "http://127.0.0.1:8765/"),
        pytest.raises(SettingError, match=r"running .* at http://127.0.0.1:8765/"),
        locked(tmp_path, "http://127.0.0.1:8766/"),
    ):
        pass
    with locked(tmp_path, "http://127.0.0.1:8767/"):
        assert (tmp_path / LOCK_NAME).read_text() == "http://127.0.0.1:8767/"


def test_a_folder_under_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="--folder"), locked(tmp_path / "file" / "a", ""):
        pass


def test_over_http_the_shelf_is_listed_and_cleared(tmp_path: Path) -> None:
    with served(tmp_path) as studio:
        item = add(studio.studio.store, listed=False, seconds=2.0)
        add(studio.studio.store, listed=False)
        assert httpx.get(f"{studio.url}/api/shelf").json() == []
        assert httpx.put(f"{studio.url}/api/shelf/{item}").status_code == 204
        assert httpx.put(f"{studio.url}/api/shelf/0123456789abcdef").status_code == 404
        listed = httpx.get(f"{studio.url}/api/shelf").json()
        assert [(entry["id"], entry["seconds"]) for entry in listed] == [(item, 2.0)]
        assert httpx.delete(f"{studio.url}/api/shelf/{item}").status_code == 204
        assert httpx.get(f"{studio.url}/api/shelf").json() == []
        gone = httpx.delete(f"{studio.url}/api/shelf/{item}")
        assert (gone.status_code, gone.json()["error"]["kind"]) == (404, "not_found")


def test_meta_data_on_disk_are_json(tmp_path: Path) -> None:
    item = add(opened(tmp_path), name="Ouvertüre <b>")
    assert (
        json.loads((tmp_path / "items" / item / META_NAME).read_text())["name"] == "Ouvertüre <b>"
    )
