"""Fit the baselines on the examples that the model learns from."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from segue.core.config import StrictModel
from segue.core.files import sha256_of
from segue.core.progress import Progress, silent, track
from segue.core.seeds import generator, integer
from segue.errors import SettingError
from segue.symbolic.baselines.copying import Copyist
from segue.symbolic.baselines.markov import MarkovChain
from segue.symbolic.baselines.storage import (
    TRUSTS,
    is_whole,
    keep_tokenizer,
    read_list,
    write_baseline,
)
from segue.symbolic.data.windows import InfillBatches, Prepared, WindowSettings
from segue.symbolic.model.baseline_nets import (
    BaselineNet,
    BaselineTask,
    RecentBatches,
    RecentNet,
    RecurrentNet,
)
from segue.symbolic.prompt import HOLE
from segue.symbolic.stream import Ids, Stream
from segue.training.data import BatchSource, StepData
from segue.training.optim import OptimSettings
from segue.training.run import RunFolder, run_training
from segue.training.trainer import TrainerSettings

_VALIDATION_SEED = 4_711
"""Draws the validation batches, the same ones in every run."""


class LearntSettings(StrictModel):
    """A network that is trained, and how."""

    net: Literal["recent", "recurrent"]
    num_tokens: int = Field(default=8, gt=0, description="last tokens that a recent net sees")
    embedding: int = Field(default=128, gt=0, description="channels of a token")
    hidden: int | None = Field(
        default=256, gt=0, description="channels of the hidden layer; None is a regression"
    )
    context_weight: float = Field(
        default=0.0, ge=0, description="weight of a prompt token's loss, of a recurrent net"
    )
    tokens_per_batch: int = Field(default=8192, gt=0, description="padding included")
    optim: OptimSettings
    trainer: TrainerSettings


def _optim(learning_rate: float) -> OptimSettings:
    return OptimSettings(
        learning_rate=learning_rate, warmup_steps=50, weight_decay=0.01, final_fraction=0.02
    )


def _trainer(steps: int) -> TrainerSettings:
    return TrainerSettings(
        max_steps=steps, accelerator="cpu", validate_every=500, validation_batches=10
    )


class BaselineSettings(StrictModel):
    """What is fitted."""

    windows: WindowSettings = Field(
        default=WindowSettings(lengths={512: 0.5, 1024: 0.5}),
        description="examples of the networks; each has its own tokens_per_batch",
    )
    examples: int = Field(default=20_000, gt=0, description="holes that are counted")
    length: int = Field(
        default=1024, gt=0, description="their longest prompt and answer, in tokens"
    )
    order: int = Field(default=3, ge=1, le=4, description="of the longest Markov chain")
    logistic: LearntSettings = LearntSettings(
        net="recent", num_tokens=8, hidden=None, optim=_optim(3e-3), trainer=_trainer(1500)
    )
    mlp: LearntSettings = LearntSettings(
        net="recent", num_tokens=16, embedding=32, optim=_optim(2e-3), trainer=_trainer(1500)
    )
    gru: LearntSettings = LearntSettings(
        net="recurrent",
        tokens_per_batch=4096,
        context_weight=0.3,
        optim=_optim(4e-3),
        trainer=_trainer(1000),
    )


class _Run(StrictModel):
    """Everything that decides what a network becomes; the recipe of its run folder."""

    kind: str
    seed: int
    windows: WindowSettings
    learnt: LearntSettings
    trainer: TrainerSettings


def fit_baselines(
    prepared: Path | str,
    folder: Path | str,
    settings: BaselineSettings | None = None,
    *,
    seed: int = 0,
    minutes_per_model: float | None = None,
    progress: Progress = silent,
) -> Path:
    """Fit every baseline, or those that are still missing.

    Args:
        prepared: a folder that `segue midi prepare` wrote, without merged tokens.
        folder: where the fitted baselines go; `load_baselines` reads it.
        settings: what is fitted.
        seed: fixes examples and weights.
        minutes_per_model: stops the training of each network after this time, also before its last
            step; what comes out then depends on the machine.
        progress: told of every example and step.

    Returns:
        The folder.

    Raises:
        SettingError: the tokenizer has merged tokens, or a network's run has other settings.
        DataError: the prepared folder is none.
    """
    settings, folder = settings or BaselineSettings(), Path(folder)
    train = Prepared(Path(prepared), "train")
    if train.tokenizer.merges is not None:
        raise SettingError(
            f"{prepared} has merged tokens; baselines are fitted on single ones. Prepare the same "
            "music with a recipe whose tokenizer has no merges, such as midigpt-small."
        )
    inputs = {n: sha256_of(Path(prepared) / n) for n in ("dataset.json", "tokenizer.json")}
    _check_inputs(folder, inputs)
    keep_tokenizer(folder, Path(prepared) / "tokenizer.json")
    counted = settings.model_dump(mode="json", include={"examples", "length", "order"})
    mark = _fingerprint({"seed": seed, **counted, "holes": settings.windows.holes.model_dump()})
    if not _is_done(folder, "counts", mark):
        arrays = _count(train, settings, seed=seed, progress=progress)
        write_baseline(
            folder, "counts", arrays, inputs=inputs, fingerprint=mark, finished=True, **counted
        )
    nets = {"logistic": settings.logistic, "mlp": settings.mlp, "gru": settings.gru}
    for kind, learnt in nets.items():
        trainer = learnt.trainer.model_copy(update={"max_minutes": minutes_per_model})
        windows = settings.windows.model_copy(update={"tokens_per_batch": learnt.tokens_per_batch})
        run = _Run(kind=kind, seed=seed, windows=windows, learnt=learnt, trainer=trainer)
        _learn(run, train, folder, inputs, progress)
    return folder


def _check_inputs(folder: Path, inputs: dict[str, str]) -> None:
    """Refuse to mix baselines of different data in one folder."""
    if any(entry["inputs"] != inputs for entry in read_list(folder).values()):
        raise SettingError(
            f"{folder} holds baselines that were fitted on other data. Name another folder."
        )


def _fingerprint(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _is_done(folder: Path, kind: str, fingerprint: str) -> bool:
    entry = read_list(folder).get(kind, {})
    same = entry.get("fingerprint") == fingerprint and entry["finished"]
    return same and is_whole(folder, kind)


def _count(
    prepared: Prepared, settings: BaselineSettings, *, seed: int, progress: Progress
) -> dict[str, NDArray[Any]]:
    """Return n-grams of answers, and how far copies can be trusted."""
    vocabulary = prepared.tokenizer.vocabulary
    pairs = list(
        track(
            _pairs(prepared, settings, seed), "counting", total=settings.examples, progress=progress
        )
    )
    answers = [answer for _, answer in pairs]
    chain = MarkovChain.fit(answers, order=settings.order, vocab_size=vocabulary.size)
    trusts = {
        f"trust_{name}": Copyist.fit(
            vocabulary,
            track(pairs, f"copying: {name}", progress=progress),
            chain.lower(0),
            expect=expect,
        ).trust
        for name, expect in TRUSTS.items()
    }
    return {**chain.arrays(), **trusts}


def _pairs(
    prepared: Prepared, settings: BaselineSettings, seed: int
) -> Iterator[tuple[Stream, Ids]]:
    """Yield contexts, and answers from SEP on, of training holes as they stand in the files."""
    batches = InfillBatches(prepared, settings.windows, seed=seed, augment=False)
    for number in range(settings.examples):
        stream, kinds = batches.example(generator(seed, "counted", number), settings.length)
        at = int(np.argmax(kinds == HOLE))
        yield Stream(stream.ids[:at], stream.times[:at]), stream.ids[at - 1 :]


def _learn(
    run: _Run, train: Prepared, folder: Path, inputs: dict[str, str], progress: Progress
) -> None:
    """Train a network, or go on with one, and keep its weights."""
    mark = _fingerprint(run.model_dump(mode="json", exclude={"trainer": {"max_minutes"}}))
    if _is_done(folder, run.kind, mark):
        return
    runs = RunFolder(folder / "runs" / run.kind)
    runs.begin(run, resume=True, inputs=inputs)
    net = _new_net(run, train)
    make = _source_maker(run)
    data = StepData(
        make(InfillBatches(train, run.windows, seed=run.seed)),
        make(_validation(run, train.folder)),
        validation_batches=run.trainer.validation_batches,
    )
    trainer = run_training(
        BaselineTask(net, run.learnt.optim, max_steps=run.trainer.max_steps),
        data,
        run.trainer,
        runs,
        seed=run.seed,
        monitor="val_answer_nats",
        title=run.kind,
        progress=lambda label, *, total=None: progress(f"{label}: {run.kind}", total=total),
    )
    write_baseline(
        folder,
        run.kind,
        net.arrays(),
        inputs=inputs,
        fingerprint=mark,
        finished=trainer.global_step >= run.trainer.max_steps,
        steps=trainer.global_step,
        validation=runs.last_validation().get("answer_nats"),
    )


def _new_net(run: _Run, prepared: Prepared) -> BaselineNet:
    vocabulary, learnt = prepared.tokenizer.vocabulary, run.learnt
    with torch.random.fork_rng():
        torch.manual_seed(integer(run.seed, run.kind))
        if learnt.net == "recent":
            return RecentNet(
                vocabulary,
                num_tokens=learnt.num_tokens,
                embedding=learnt.embedding,
                hidden=learnt.hidden,
            )
        return RecurrentNet(
            vocabulary.size,
            embedding=learnt.embedding,
            hidden=learnt.hidden or learnt.embedding,
            context_weight=learnt.context_weight,
        )


def _source_maker(run: _Run) -> Callable[[InfillBatches], BatchSource]:
    if run.learnt.net == "recurrent":
        return lambda batches: batches
    return lambda batches: RecentBatches(batches, num_tokens=run.learnt.num_tokens)


def _validation(run: _Run, folder: Path) -> InfillBatches:
    return InfillBatches(
        Prepared(folder, "valid"), run.windows, seed=_VALIDATION_SEED, augment=False
    )
