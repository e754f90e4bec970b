"""Files that are either whole or absent: atomic writes and hashes."""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from segue.errors import DataError

_LONGEST_NAME = 60


@contextlib.contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `target` that becomes `target` when the block ends well.

    If the block raises, the temporary file is removed and an existing `target` stays as it was.

    Args:
        target: the file to be written; its folder is made where missing.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem[:40]}-", suffix=target.suffix, dir=target.parent
        )
    except OSError as error:
        raise DataError(f"Cannot write {target}: {error.strerror or error}.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _publish(temporary, target)
    except OSError as error:
        raise DataError(f"Cannot write {target}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, target: Path) -> None:
    """Flush `temporary` to disk, give it ordinary permissions and rename it to `target`."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
    temporary.replace(target)


def write_bytes(target: Path | str, content: bytes) -> None:
    """Write `content` to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: Path | str, content: str) -> None:
    """Write `content` to `target` as UTF-8, whole or not at all."""
    write_bytes(target, content.encode())


def sha256_of(path: Path | str) -> str:
    """Return the hexadecimal SHA-256 of a file, read in pieces."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def safe_name(text: str) -> str:
    """Return a text as a name of a file on every system: letters, digits, ``-`` and ``_``.

    Everything else becomes one ``-``, and long texts are cut: different texts may get the same name.
    """
    return re.sub(r"[^\w-]+", "-", text).strip("-")[:_LONGEST_NAME] or "unnamed"
