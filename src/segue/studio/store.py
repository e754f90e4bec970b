"""The shelf: pieces and recordings in a folder, each whole or absent, whatever stops the server."""

import contextlib
import datetime
import errno
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from segue.errors import DataError
from segue.studio.problems import NotFound, TooLarge, logger

Kind = Literal["piece", "recording"]

META_NAME: Final = "item.json"
IN_USE_SECONDS: Final = 600.0
"""An unlisted item that was asked for within this time is not removed to make room."""

_ID = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OWN_KEYS: Final = ("id", "kind", "listed", "created", "size_bytes")
_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def new_id() -> str:
    """Return 16 random hexadecimal digits."""
    return secrets.token_hex(8)


def now() -> str:
    """Return the time as ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class Store:
    """A folder of items, each a folder of its own: staged, flushed to disk and renamed.

    What an interrupted server left half-written is swept at the start; an item that cannot be
    read is left where it is and not shown.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int, max_items: int, max_unlisted: int = 1000
    ) -> None:
        """Open or make the store.

        Args:
            folder: where the items are.
            max_bytes: size of all items together.
            max_items: number of items, unlisted ones included.
            max_unlisted: number of items that do not stand on the shelf.

        Raises:
            DataError: the folder cannot be written.
        """
        self._items_folder = folder / "items"
        self._staging = folder / "staging"
        self._max_bytes, self._max_items = max_bytes, max_items
        self._max_unlisted = max_unlisted
        self._lock = threading.RLock()
        self._used: dict[str, float] = {}
        try:
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir(parents=True, exist_ok=True)
            self._items_folder.mkdir(parents=True, exist_ok=True)
            self._items = dict(self._read_all())
        except OSError as error:
            raise DataError(
                f"Cannot use the folder {folder}: {error.strerror or error}. Name another one."
            ) from error

    def add(
        self,
        kind: Kind,
        meta: Mapping[str, Any],
        write: Callable[[Path], None],
        *,
        listed: bool,
    ) -> str:
        """Add an item and return its id.

        Args:
            kind: what it is.
            meta: JSON values that go with it; ``id``, ``kind``, ``listed``, ``created`` and
                ``size_bytes`` are set here.
            write: puts the item's files into the folder that it is given.
            listed: whether it stands on the shelf; what does not may be removed to make room.

        Raises:
            TooLarge: the shelf or the disk is full.
        """
        item = new_id()
        with self.scratch() as stage:
            write(stage)
            size = sum(path.stat().st_size for path in stage.iterdir())
            entry = {
                **meta,
                **dict(zip(_OWN_KEYS, (item, kind, listed, now(), size), strict=True)),
            }
            _write_meta(stage, entry)
            _flush(stage)
            with self._lock:
                self._make_room(size, listed=listed)
                stage.rename(self._items_folder / item)
                self._items[item] = entry
                self._used[item] = time.monotonic()
        return item

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder beside the items, for an upload for instance; it is removed after.

        Raises:
            TooLarge: the disk is full.
        """
        stage = self._staging / new_id()
        try:
            with _full_disk_told():
                stage.mkdir()
                yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)

    def meta(self, item: str, *, kind: str) -> dict[str, Any]:
        """Return an item's meta data with ``id``, ``kind``, ``listed``, ``created``, ``size_bytes``.

        Raises:
            NotFound: there is no such item of this kind.
        """
        with self._lock:
            entry = self._items.get(item)
            if entry is None or entry["kind"] != kind:
                raise NotFound(f"There is no {kind} with this id. It may have been removed.")
            self._used[item] = time.monotonic()
            return dict(entry)

    def path(self, item: str, name: str) -> Path:
        """Return the path of a file of an item.

        Raises:
            NotFound: there is no such item, or it has no such file.
        """
        with self._lock:
            known = item in self._items
            if known:
                self._used[item] = time.monotonic()
        path = self._items_folder / item / name
        if not (known and _NAME.fullmatch(name) and name != META_NAME and path.is_file()):
            raise NotFound("There is no such file. It may have been removed.")
        return path

    def listed(self) -> list[dict[str, Any]]:
        """Return the meta data of the items on the shelf, newest first."""
        with self._lock:
            found = [dict(entry) for entry in self._items.values() if entry["listed"]]
        return sorted(found, key=lambda entry: entry["created"], reverse=True)

    def keep(self, item: str) -> None:
        """Put an item on the shelf; one that stands there stays.

        Raises:
            NotFound: there is no such item.
            TooLarge: the disk is full.
        """
        with self.scratch() as stage, self._lock:
            entry = self._items.get(item)
            if entry is None:
                raise _no_such_item()
            if entry["listed"]:
                return
            entry = {**entry, "listed": True}
            _write_meta(stage, entry)
            _flush(stage)
            (stage / META_NAME).replace(self._items_folder / item / META_NAME)
            self._items[item] = entry

    def remove(self, item: str) -> None:
        """Remove an item from the shelf and from the disk.

        Raises:
            NotFound: there is no such item.
        """
        with self._lock:
            if self._items.pop(item, None) is None:
                raise _no_such_item()
            self._used.pop(item, None)
        self._discard(item)

    def check_room(self) -> None:
        """Refuse early what would find no place in the end.

        Raises:
            TooLarge: the shelf is full of things that the user keeps.
        """
        with self._lock:
            kept = [entry for entry in self._items.values() if entry["listed"]]
            size = sum(entry["size_bytes"] for entry in kept)
        if size >= self._max_bytes or len(kept) >= self._max_items:
            raise self._no_room()

    def _make_room(self, size: int, *, listed: bool) -> None:
        """Remove unlisted items, oldest first, until a new one fits; the lock is held."""
        num_unlisted = sum(not entry["listed"] for entry in self._items.values()) + (not listed)
        total = sum(entry["size_bytes"] for entry in self._items.values())
        newest = time.monotonic() - IN_USE_SECONDS
        spare = [
            (entry["created"], item)
            for item, entry in self._items.items()
            if not entry["listed"] and self._used.get(item, 0.0) < newest
        ]

        def fits() -> bool:
            return total + size <= self._max_bytes and len(self._items) < self._max_items

        for _, item in sorted(spare):
            if fits() and num_unlisted <= self._max_unlisted:
                return
            total -= self._items[item]["size_bytes"]
            num_unlisted -= 1
            self.remove(item)
        if not fits():
            raise self._no_room()

    def _no_room(self) -> TooLarge:
        """Say that the shelf is full."""
        return TooLarge(
            f"The shelf is full: it holds at most {self._max_items} items of together "
            f"{self._max_bytes / 1e9:.3g} GB. Nothing was removed. Delete what you no longer "
            "need from the shelf, or start the studio with a higher limit."
        )

    def _discard(self, item: str) -> None:
        """Take a folder away in one step, then delete it at leisure."""
        doomed = self._staging / f"{item}-removed"
        with contextlib.suppress(OSError):
            (self._items_folder / item).rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _read_all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read the items on disk; those that are damaged are told of and passed by."""
        for folder in sorted(self._items_folder.iterdir()):
            try:
                yield folder.name, _read_meta(folder)
            except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
                logger.warning("The item %s is damaged and not shown: %s", folder.name, error)


def _read_meta(folder: Path) -> dict[str, Any]:
    """Read and check an item's meta data.

    Raises:
        ValueError: it is not an item as `Store.add` writes one.
    """
    entry = json.loads((folder / META_NAME).read_text(encoding="utf-8"))
    if not (_ID.fullmatch(folder.name) and isinstance(entry, dict)):
        raise ValueError("this is no item")
    known = {"id": str, "kind": str, "listed": bool, "created": str, "size_bytes": int}
    if not all(isinstance(entry[key], kind) for key, kind in known.items()):
        raise ValueError(f"its {META_NAME} is not as it should be")
    if entry["id"] != folder.name:
        raise ValueError("it has the name of another item")
    return entry


def _write_meta(folder: Path, entry: Mapping[str, Any]) -> None:
    """Write an item's meta data into a folder."""
    text = json.dumps(entry, allow_nan=False)
    (folder / META_NAME).write_text(text, encoding="utf-8")


def _no_such_item() -> NotFound:
    """Say that an item is not there."""
    return NotFound("There is no such item on the shelf. It may have been removed.")


def _flush(folder: Path) -> None:
    """Flush the files of a folder to disk, so that after the rename they are whole."""
    for path in folder.iterdir():
        with path.open("rb") as stream:
            os.fsync(stream.fileno())


@contextlib.contextmanager
def _full_disk_told() -> Iterator[None]:
    """Turn a full disk into an answer that says so."""
    try:
        yield
    except (OSError, DataError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not (isinstance(cause, OSError) and cause.errno in _FULL):
            raise
        raise TooLarge(
            "The disk that the studio writes to is full; nothing was written. Make room there, "
            "for instance by deleting from the shelf, and try again."
        ) from error
