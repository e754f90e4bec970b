"""What `segue doctor RUN` looks at in a MidiGPT run or bundle."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from segue.core.findings import Finding, first_broken, guarded
from segue.runtime.bundle import Bundle
from segue.symbolic.loaded import MidiModel
from segue.symbolic.tokenizer import Tokenizer
from segue.training.checkpoints import check_checkpoints
from segue.training.history import RunRecord, check_history

if TYPE_CHECKING:
    from segue.symbolic.data.windows import Prepared

FIRST_BAR: Final = 3
BARS: Final = 2
"""Bars that are written to see whether anything comes."""

_MOST_PIECES = 2_000
_EARLY = 0.4
_TOKENIZER = "tokenizer.json"
_LOSSES = ("hole_nats", "context_nats")


def examine_run(record: RunRecord, data: Path | None) -> list[Finding]:
    """Examine the run of a MidiGPT.

    Args:
        record: the run.
        data: its prepared folder, for the entropy of its tokens; None for none.
    """
    objective = record.recipe.get("task", {}).get("objective", "infill")
    validation = _LOSSES[0] if objective == "infill" else _LOSSES[1]
    path = record.path / _TOKENIZER
    advice = "Copy tokenizer.json from the prepared folder into the run folder."
    found = guarded("tokenizer", lambda: [_tokenizer_finding(path)], advice=advice)
    if first_broken(found):
        return found
    size = Tokenizer.from_file(path).size
    found += check_history(
        record, columns=("loss",), validation=validation, untrained=math.log(size)
    )
    found += guarded("checkpoint", lambda: check_checkpoints(record.path))
    found += guarded("entropy", lambda: [check_entropy(record, validation, size, data)])
    if first_broken(found):
        return [*found, Finding("sample", "not checked", "it needs whole weights that learnt")]
    return found + guarded("sample", lambda: [check_sample(_model_of(record.path, objective))])


def examine_bundle(bundle: Bundle) -> list[Finding]:
    """Examine a bundle of a MidiGPT: its files, and whether it writes notes."""
    found = guarded(
        "files",
        lambda: [Finding("files", "ok", f"{len(bundle.verify())} files as the manifest says")],
        advice="Copy or export the bundle again.",
    )
    if first_broken(found):
        return found
    return found + guarded("sample", lambda: [check_sample(MidiModel.open(bundle))])


def _tokenizer_finding(path: Path) -> Finding:
    tokenizer = Tokenizer.from_file(path)
    return Finding("tokenizer", "ok", f"{tokenizer.size} tokens")


def unigram_nats(prepared: "Prepared") -> float:
    """Return the entropy of single tokens of a prepared folder, in nats, over 2000 pieces at most.

    A model that knows how often every token comes, and no more, has this loss.
    """
    size = prepared.tokenizer.size
    counts = np.zeros(size)
    for number in range(min(_MOST_PIECES, len(prepared.lengths))):
        counts += np.bincount(np.asarray(prepared.piece(number), np.int64), minlength=size)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def check_entropy(record: RunRecord, name: str, size: int, data: Path | None) -> Finding:
    """Hold the loss against that of a model which knows how often tokens come, and no more.

    Args:
        record: the run.
        name: of the loss, in nats a token.
        size: of the vocabulary; all tokens alike is what there is to compare with without data.
        data: the prepared folder, or None.
    """
    from segue.symbolic.data.windows import Prepared

    _, values = record.column(name, "val")
    split = "validation"
    if not len(values):
        _, values = record.column(name)
        split = "training"
    if not len(values):
        return Finding("entropy", "not checked", f"there is no {name} in metrics.csv yet")
    told, limit = "all tokens alike", math.log(size)
    if data is not None and Prepared(data, "train").tokenizer.merges is None:
        told, limit = "tokens by how often they come", unigram_nats(Prepared(data, "train"))
    detail = f"{name} {values[-1]:.3f} in {split}; {told}: {limit:.3f} nats a token"
    if values[-1] < limit:
        return Finding("entropy", "ok", detail)
    early = record.share_done < _EARLY
    advice = "Let it train on." if early else "See the loss course; raise optim.learning_rate."
    return Finding("entropy", "suspicious" if early else "broken", detail, advice)


def _model_of(run: Path, objective: str) -> MidiModel:
    """Return the model of a run without exporting it."""
    from segue.runtime.torch_backend import TorchDecoder
    from segue.symbolic.model.weights import read_weights

    tokenizer = Tokenizer.from_file(run / _TOKENIZER)
    decoder = TorchDecoder(read_weights(run).build())
    return MidiModel.of(decoder, tokenizer, name=run.name, objective=objective)


def check_sample(model: MidiModel) -> Finding:
    """Let a model write two bars into the middle of a small piece, held by the grammar."""
    from segue.symbolic.demo_piece import demo_piece
    from segue.symbolic.song import Method, Song

    song = Song.from_bytes(demo_piece("trio"), name="a small piece")
    method: Method = "infill" if model.objective == "infill" else "original"
    bars = (FIRST_BAR, FIRST_BAR + BARS - 1)
    notes = song.inpaint(bars=bars, method=method, model=model, seed=0)[0].num_notes
    detail = f"{notes} notes in {BARS} bars, as the grammar wants them"
    if notes:
        return Finding("sample", "ok", detail)
    advice = "Try other seeds with `segue midi inpaint`; if it stays empty, train for longer."
    return Finding("sample", "suspicious", detail, advice)
