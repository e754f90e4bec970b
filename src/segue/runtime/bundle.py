"""Bundles: a trained model as a folder that can be checked, moved and run.

A bundle holds `config.json` (what the model is), one ONNX graph or more (what runs), for
symbolic models `tokenizer.json`, a model card `README.md`, and `manifest.json` with the
SHA-256 of every other file. Nothing in it is ever unpickled: JSON, ONNX and safetensors only.
"""

import functools
import importlib.resources
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from segue.core.files import sha256_of
from segue.errors import BundleError

FORMAT: Final = 1
"""Version of the folder's layout that this release writes and the newest that it reads."""

DEFAULT_BUNDLE: Final = "midigpt-small"
"""Name of the bundle that generating commands use when none is named."""

CONFIG_NAME: Final = "config.json"
MANIFEST_NAME: Final = "manifest.json"
JSON_LIMIT_BYTES: Final = 1_000_000
"""A larger config or manifest is refused unread."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Bundle:
    """A model bundle on disk; nothing but the folder's existence is looked at until it is needed.

    Example:
        >>> bundle = Bundle.open("midigpt-small")    # doctest: +SKIP
        >>> bundle.objective                         # doctest: +SKIP
        'infill'
    """

    def __init__(self, folder: Path) -> None:
        """Stand for the bundle in `folder`; prefer :meth:`open`, which checks that it exists."""
        self.folder = folder

    @classmethod
    def open(cls, path_or_name: Path | str | None = None) -> Self:
        """Open a bundle by the name of a shipped one or by its folder.

        Args:
            path_or_name: a folder, or the name of a bundle inside the package; a text without a
                slash is looked for in the package first. None is :data:`DEFAULT_BUNDLE`.

        Raises:
            BundleError: there is no such bundle, or its config is damaged, too new or not ours.
        """
        bundle = cls(_find(DEFAULT_BUNDLE if path_or_name is None else path_or_name))
        _ = bundle.config
        return bundle

    def __repr__(self) -> str:
        """Show the folder."""
        return f"Bundle({str(self.folder)!r})"

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The content of `config.json`, its format and kind checked.

        Raises:
            BundleError: the file is missing, damaged, or of a newer format.
        """
        config = _read_json(self.folder / CONFIG_NAME)
        version = config.get("format")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise BundleError(
                f"The bundle {self.folder} is damaged: the format in its {CONFIG_NAME} is "
                f"{version!r}, not a whole number. Copy or export the bundle again."
            )
        if version > FORMAT:
            raise BundleError(
                f"The bundle {self.folder} has format {version}, newer than format {FORMAT}, the "
                "newest that this version of segue reads. Update segue: pip install -U segue."
            )
        for key, kind in (("kind", str), ("name", str), ("model", dict)):
            if not isinstance(config.get(key), kind):
                raise BundleError(
                    f"The bundle {self.folder} is damaged: {key!r} in its {CONFIG_NAME} is missing "
                    "or of the wrong type. Copy or export the bundle again."
                )
        return config

    @functools.cached_property
    def manifest(self) -> dict[str, str]:
        """File name → hexadecimal SHA-256, every name checked to stay inside the folder."""
        sums = _read_json(self.folder / MANIFEST_NAME).get("sha256")
        if not isinstance(sums, dict) or not sums:
            raise BundleError(
                f"The bundle {self.folder} is damaged: its {MANIFEST_NAME} lists no files. "
                "Copy or export the bundle again."
            )
        for name, digest in sums.items():
            _check_name(name, self.folder)
            if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
                raise BundleError(
                    f"The bundle {self.folder} is damaged: its {MANIFEST_NAME} holds no SHA-256 "
                    f"for {name}. Copy or export the bundle again."
                )
        return sums

    @property
    def name(self) -> str:
        """The name that the bundle's maker gave it."""
        return str(self.config["name"])

    @property
    def kind(self) -> str:
        """Which generator the bundle is for, such as ``midigpt``."""
        return str(self.config["kind"])

    @property
    def objective(self) -> str:
        """What the model was trained to do: ``infill``, ``next_token``, or empty where unsaid."""
        return str(self.config.get("objective", ""))

    def require(self, *, kind: str | None = None, objective: str | None = None) -> Self:
        """Return the bundle itself if it is of this kind and objective.

        Raises:
            BundleError: it is of another kind, or was trained for another objective.
        """
        for what, wanted, given in (
            ("kind", kind, self.kind),
            ("objective", objective, self.objective),
        ):
            if wanted is not None and wanted != given:
                raise BundleError(
                    f"The bundle {self.name} ({self.folder}) has the {what} {given!r}, but this "
                    f"task needs {wanted!r}. Choose another: segue models list shows what there is."
                )
        return self

    def has(self, name: str) -> bool:
        """Say whether the manifest lists `name`."""
        return name in self.manifest

    def path(self, name: str) -> Path:
        """Return the path of a file of the bundle.

        Args:
            name: a plain file name, listed in the manifest.

        Raises:
            BundleError: the name is not listed, the file is missing, or it lies elsewhere.
        """
        _check_name(name, self.folder)
        if name not in self.manifest:
            raise BundleError(
                f"The bundle {self.folder} has no file {name}; its manifest lists "
                f"{', '.join(sorted(self.manifest))}. Choose another bundle or export it again."
            )
        return self._inside(name)

    def verify(self) -> tuple[str, ...]:
        """Compare every file with the manifest; return the names that were checked.

        Raises:
            BundleError: a file is missing, lies outside the folder, or has another SHA-256.
        """
        for name, digest in self.manifest.items():
            if sha256_of(self._inside(name)) != digest:
                raise BundleError(
                    f"The bundle {self.folder} is damaged: {name} does not have the SHA-256 that "
                    f"{MANIFEST_NAME} states. Copy or export the bundle again."
                )
        if CONFIG_NAME not in self.manifest:
            raise BundleError(
                f"The bundle {self.folder} is damaged: its {MANIFEST_NAME} does not list "
                f"{CONFIG_NAME}. Copy or export the bundle again."
            )
        return tuple(sorted(self.manifest))

    def _inside(self, name: str) -> Path:
        """Return the path of an existing regular file that truly lies in the folder."""
        path = self.folder / name
        if not path.is_file():
            raise BundleError(
                f"The bundle {self.folder} is damaged: {name} is missing. "
                "Copy or export the bundle again."
            )
        if path.resolve().parent != self.folder.resolve():
            raise BundleError(
                f"The bundle {self.folder} is refused: {name} is a link that leaves the folder. "
                "Put the file itself into the bundle."
            )
        return path


def list_bundles() -> list[Bundle]:
    """Return the bundles inside the package, sorted by folder name, without reading them."""
    root = _weights_folder()
    if not root.is_dir():
        return []
    return [Bundle(path.parent) for path in sorted(root.glob(f"*/{CONFIG_NAME}"))]


def write_bundle(folder: Path | str, files: Mapping[str, bytes | str | Path]) -> Bundle:
    """Write a bundle, whole or not at all, and return it.

    Everything is written into a temporary folder beside the target, the manifest last, and then
    renamed. A bundle that stood there before is replaced; any other folder is left alone.

    Args:
        folder: the target folder.
        files: file name → content, or the path of a file to copy. `config.json` must be there;
            `manifest.json` is made here.

    Raises:
        BundleError: a name would leave the folder, the config is missing, or the target exists
            and is not a bundle, or cannot be written.
    """
    folder = Path(folder)
    for name in files:
        _check_name(name, folder)
    if CONFIG_NAME not in files or MANIFEST_NAME in files:
        raise BundleError(
            f"Cannot write the bundle {folder}: {CONFIG_NAME} must be given and {MANIFEST_NAME}, "
            f"which is made here, must not; given: {', '.join(sorted(files))}."
        )
    if folder.exists() and not _replaceable(folder):
        raise BundleError(
            f"Cannot write the bundle {folder}: it exists and is not a bundle. Name a new folder."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}-", dir=folder.parent))
        try:
            _fill(temporary, files)
            _swap_in(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise BundleError(
            f"Cannot write the bundle {folder}: {error.strerror or error}."
        ) from error
    return Bundle.open(folder)


def _fill(temporary: Path, files: Mapping[str, bytes | str | Path]) -> None:
    """Write the files and their manifest into an empty folder."""
    for name, content in files.items():
        target = temporary / name
        if isinstance(content, Path):
            shutil.copyfile(content, target)
        elif isinstance(content, str):
            target.write_text(content, encoding="utf-8", newline="\n")
        else:
            target.write_bytes(content)
    sums = {name: sha256_of(temporary / name) for name in sorted(files)}
    manifest = json.dumps({"format": FORMAT, "sha256": sums}, indent=2) + "\n"
    (temporary / MANIFEST_NAME).write_text(manifest, encoding="utf-8")
    temporary.chmod(0o755)


def _swap_in(temporary: Path, folder: Path) -> None:
    """Rename the finished folder to its target; an older bundle there is moved out of the way."""
    if not folder.exists():
        temporary.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name[:40]}-old-", dir=folder.parent))
    folder.rename(old / "bundle")
    try:
        temporary.rename(folder)
    except OSError:
        (old / "bundle").rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _replaceable(folder: Path) -> bool:
    """Say whether a folder may be replaced: an empty one, or one with a bundle's manifest."""
    if not folder.is_dir():
        return False
    return (folder / MANIFEST_NAME).is_file() or not any(folder.iterdir())


def _weights_folder() -> Path:
    """Return the folder of the shipped bundles."""
    return Path(str(importlib.resources.files("segue"))) / "weights"


def _find(path_or_name: Path | str) -> Path:
    """Return the folder of a shipped bundle or of a path."""
    if isinstance(path_or_name, str) and _SAFE_NAME.fullmatch(path_or_name):
        shipped = _weights_folder() / path_or_name
        if (shipped / CONFIG_NAME).is_file():
            return shipped
    folder = Path(path_or_name)
    if folder.is_dir():
        return folder
    names = ", ".join(bundle.folder.name for bundle in list_bundles()) or "none"
    raise BundleError(
        f"There is no bundle {str(path_or_name)!r}: it is neither a folder nor the name of a "
        f"bundle in the package (there: {names}). segue models list shows what there is."
    )


def _check_name(name: str, folder: Path) -> None:
    """Refuse a file name that could leave the folder or hide in it.

    Raises:
        BundleError: the name has a separator, a leading dot, or is too long.
    """
    if not _SAFE_NAME.fullmatch(name):
        raise BundleError(
            f"The bundle {folder} is refused: the file name {name[:120]!r} is not a plain name of "
            "letters, digits, dot, dash and underscore."
        )


def _read_json(path: Path) -> dict[str, Any]:
    """Read a small JSON object.

    Raises:
        BundleError: the file is missing, too large, or not a JSON object.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(JSON_LIMIT_BYTES + 1)
    except OSError as error:
        raise BundleError(
            f"{path.parent} is not a bundle, or a damaged one: {path.name} cannot be read "
            f"({error.strerror or error}). Give the folder that segue midi export, or segue audio "
            "export, wrote."
        ) from error
    if len(raw) > JSON_LIMIT_BYTES:
        raise BundleError(
            f"The bundle {path.parent} is refused: {path.name} is larger than "
            f"{JSON_LIMIT_BYTES:,} bytes. Copy or export the bundle again."
        )
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"The bundle {path.parent} is damaged: {path.name} is not JSON ({error}). "
            "Copy or export the bundle again."
        ) from error
    if not isinstance(content, dict):
        raise BundleError(
            f"The bundle {path.parent} is damaged: {path.name} is not a JSON object. "
            "Copy or export the bundle again."
        )
    return content
