"""Batches of latents: pure functions of the step, masks as people draw them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from tests.toy_diffusion import prepared_audio, toy_encode, toy_latents
from tests.toy_text import DIMS, ToyTexts

from segue.audio.data.latent_batches import (
    KNOWN,
    PADDING,
    TIME,
    UNKNOWN,
    LatentBatches,
    LatentBatchSettings,
    MaskSettings,
    draw_known,
    draw_labels,
)
from segue.audio.data.latent_cache import Latents


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_latents(tmp_path_factory.mktemp("batches"), log_variance=True)


def _batches(folder: Path, seed: int = 1, **settings) -> LatentBatches:
    values = {"frames_per_batch": 160, "lengths": {20: 1.0}} | settings
    return LatentBatches(Latents(folder, "train"), LatentBatchSettings(**values), seed=seed)


def test_a_batch_depends_on_seed_and_step_only(folder: Path):
    one, other = _batches(folder), _batches(folder)
    other.batch(3)
    for first, second in zip(one.batch(7), other.batch(7), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(one.batch(7).latents, one.batch(8).latents)
    assert not np.array_equal(one.batch(7).noise, _batches(folder, seed=2).batch(7).noise)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_rows_of_the_global_batch(folder: Path, world_size: int):
    source = _batches(folder)
    whole = source.batch(5)
    for rank in range(world_size):
        part = source.batch(5, rank=rank, world_size=world_size)
        for values, all_values in zip(part, whole, strict=True):
            np.testing.assert_array_equal(values, all_values[rank::world_size])


def test_a_row_is_a_normalised_stretch_of_a_recording_of_its_label(folder: Path):
    source = _batches(folder)
    latents = source.latents
    batch = source.batch(0)
    assert batch.latents.shape == batch.noise.shape == (8, 4, 20)
    whole = [latents.spec.normalise(latents.read(i, 0, 10_000)) for i in range(6)]
    assert (batch.labels.sum(axis=1) == 1).all()
    for row, label in zip(batch.latents, batch.labels.argmax(axis=1), strict=True):
        found = [
            latents.labels.index(latents.recordings[index].label)
            for index, music in enumerate(whole)
            for start in range(music.shape[1] - 19)
            if np.array_equal(music[:, start : start + 20], row)
        ]
        assert found == [label]


def test_lengths_are_drawn_for_whole_batches_of_equal_cost(folder: Path):
    source = _batches(folder, lengths={10: 0.5, 40: 0.5})
    shapes = {source.batch(step).latents.shape for step in range(20)}
    assert shapes == {(16, 4, 10), (4, 4, 40)}


def test_what_is_shorter_than_a_row_is_padded_at_its_end(tmp_path: Path):
    prepared_audio(tmp_path / "prepared", seconds={"train": [0.3], "valid": [0.3]})
    toy_encode(tmp_path / "prepared", tmp_path / "latents")
    batch = _batches(tmp_path / "latents").batch(0)
    assert (batch.kinds[:, :15] != PADDING).all()
    assert (batch.kinds[:, 15:] == PADDING).all()
    assert (batch.latents[:, :, 15:] == 0).all()
    assert (batch.kinds[:, :15] == UNKNOWN).any(axis=1).all()


def test_times_are_spread_evenly_over_the_global_batch(folder: Path):
    for step in range(5):
        times = np.sort(_batches(folder).batch(step).draws[:, TIME])
        np.testing.assert_array_equal(np.floor(times * 8), np.arange(8))


def test_noise_is_normal(folder: Path):
    source = _batches(folder)
    noise = np.concatenate([source.batch(step).noise.ravel() for step in range(20)])
    assert abs(noise.mean()) < 0.03
    assert noise.std() == pytest.approx(1, abs=0.03)


def test_labels_can_be_drawn_alike(tmp_path: Path):
    # Two long flutes, one short organ.
    prepared_audio(tmp_path / "prepared", seconds={"train": [6, 1, 6], "valid": [1]})
    toy_encode(tmp_path / "prepared", tmp_path / "latents")
    share = {}
    for balance in ("length", "recording", "label"):
        source = _batches(tmp_path / "latents", balance=balance)
        labels = np.concatenate([source.batch(step).labels for step in range(60)])
        share[balance] = float(labels[:, 1].mean())
    assert share["length"] == pytest.approx(1 / 13, abs=0.04)
    assert share["recording"] == pytest.approx(1 / 3, abs=0.08)
    assert share["label"] == pytest.approx(1 / 2, abs=0.08)


def test_silent_crops_are_drawn_again(tmp_path: Path):
    folder = prepared_audio(tmp_path / "prepared", seconds={"train": [4, 4], "valid": [1]})
    path = folder / "audio.train.i16"
    audio = np.fromfile(path, "<i2")
    audio[: len(audio) // 2] = 0
    audio.tofile(path)
    toy_encode(folder, tmp_path / "latents")
    flutes = {}
    for redraws in (0, 30):
        source = _batches(tmp_path / "latents", redraws=redraws)
        labels = np.concatenate([source.batch(step).labels for step in range(10)])
        flutes[redraws] = int(labels[:, 0].sum())
    assert flutes[30] == 0 < flutes[0]


def test_latents_can_be_drawn_from_the_posterior(folder: Path):
    mean = _batches(folder).batch(0).latents
    drawn = _batches(folder, draw_latents=True, normalise=False)
    latents = drawn.latents
    assert drawn.batch(0).latents.shape == mean.shape
    # The same step reads the same crops, whatever is done with them.
    exact = _batches(folder, normalise=False).batch(0).latents
    spread = (drawn.batch(0).latents - exact).std()
    assert spread == pytest.approx(
        np.exp(0.5 * latents.read_log_variance(0, 0, 50)).mean(), rel=0.2
    )


# Labels and texts ------------------------------------------------------------------------------


def _words(number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Flute and organ; flute and what the folder does not list; nothing."""
    return [
        (("flute", "organ"), ("a flute", "an organ")),
        (("organ", "unheard of"), ("an organ",)),
        ((), ()),
    ][number % 3]


@pytest.fixture(scope="module")
def worded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_latents(tmp_path_factory.mktemp("words"), words=_words)


def _with_texts(folder: Path, encoder: ToyTexts | None, **settings) -> LatentBatches:
    values = {"frames_per_batch": 160, "lengths": {20: 1.0}} | settings
    settings = LatentBatchSettings(**values)
    return LatentBatches(Latents(folder, "train"), settings, seed=1, encoder=encoder)


def test_every_caption_is_encoded_once_and_one_is_drawn(worded: Path):
    encoder = ToyTexts()
    source = _with_texts(worded, encoder, balance="recording")
    assert sorted(encoder.asked) == ["a flute", "an organ"]
    assert source.text_dims == DIMS
    flute, organ = encoder.encode(["a flute", "an organ"])
    seen = {"none": 0, "flute": 0, "organ": 0}
    for step in range(40):
        batch = source.batch(step)
        assert batch.text.dtype == np.float32
        for labels, text in zip(batch.labels, batch.text, strict=True):
            is_flute, is_organ = np.array_equal(text, flute), np.array_equal(text, organ)
            assert is_flute or is_organ or not text.any()
            assert bool(text.any()) == bool(labels.any())
            seen["flute" if is_flute else "organ" if is_organ else "none"] += 1
    assert seen["none"] == pytest.approx(40 * 8 / 3, rel=0.25)
    assert seen["flute"] == pytest.approx(40 * 8 / 6, rel=0.3)
    assert seen["organ"] == pytest.approx(40 * 8 / 2, rel=0.25)


def test_labels_are_shares_of_all_or_of_some(worded: Path):
    for subsets, allowed in (
        (0.0, {(0.5, 0.5), (0, 1), (0, 0)}),
        (1.0, {(1, 0), (0, 1), (0, 0)}),
        (0.5, {(0.5, 0.5), (1, 0), (0, 1), (0, 0)}),
    ):
        source = _with_texts(worded, None, label_subsets=subsets, balance="recording")
        rows = np.concatenate([source.batch(step).labels for step in range(40)])
        assert {tuple(row) for row in rows.tolist()} == allowed
        assert source.batch(0).text.shape == (8, 0)
    rng = np.random.default_rng(0)
    drawn = [draw_labels(rng, [3, 5, 8], 1.0) for _ in range(300)]
    assert {len(found) for found in drawn} == {1, 2}
    assert {label for found in drawn for label in found} == {3, 5, 8}
    assert draw_labels(rng, [3], 1.0) == [3]


def test_batches_with_texts_are_pure_and_travel_to_workers(worded: Path):
    source = _with_texts(worded, ToyTexts())
    again = pickle.loads(pickle.dumps(_with_texts(worded, ToyTexts())))
    plain = _with_texts(worded, None)
    again.batch(3)
    for name, values in source.batch(7)._asdict().items():
        np.testing.assert_array_equal(values, getattr(again.batch(7), name))
        if name != "text":
            np.testing.assert_array_equal(values, getattr(plain.batch(7), name))
    for rank in range(2):
        part = source.batch(7, rank=rank, world_size=2)
        np.testing.assert_array_equal(part.text, source.batch(7).text[rank::2])
        np.testing.assert_array_equal(part.labels, source.batch(7).labels[rank::2])


# Masks ----------------------------------------------------------------------------------------


def _drawn(kind: str, num_frames: int = 30, count: int = 300) -> np.ndarray:
    shares = dict.fromkeys(("generate", "extend", "lead_in", "inpaint", "spans"), 0.0)
    settings = MaskSettings(**(shares | {kind: 1.0}))
    rng = np.random.default_rng(4)
    return np.stack([draw_known(rng, num_frames, settings) for _ in range(count)])


@pytest.mark.parametrize("kind", ["generate", "extend", "lead_in", "inpaint", "spans"])
@pytest.mark.parametrize("num_frames", [1, 2, 3, 30])
def test_something_is_always_left_to_do(kind: str, num_frames: int):
    assert not _drawn(kind, num_frames).all(axis=1).any()


def test_nothing_is_known_when_generating():
    assert not _drawn("generate").any()


def test_beginning_or_end_is_known():
    extend, lead_in = _drawn("extend"), _drawn("lead_in")
    assert not (np.diff(extend.astype(int)) > 0).any()
    assert not (np.diff(lead_in.astype(int)) < 0).any()
    assert extend[:, 0].all()
    assert lead_in[:, -1].all()
    assert set(extend.sum(axis=1)) == set(range(1, 30))


def test_one_hole_when_inpainting_and_several_as_spans():
    def holes(known: np.ndarray) -> np.ndarray:
        edges = np.diff(np.pad(~known, ((0, 0), (1, 1))).astype(int), axis=1)
        return (edges > 0).sum(axis=1)

    assert set(holes(_drawn("inpaint"))) == {1}
    assert {1, 2, 3} == set(holes(_drawn("spans")))


def test_kinds_say_what_is_known(folder: Path):
    masks = MaskSettings(generate=0, extend=1, lead_in=0, inpaint=0, spans=0)
    kinds = _batches(folder, masks=masks).batch(0).kinds
    assert set(np.unique(kinds)) == {KNOWN, UNKNOWN}
    assert (kinds[:, -1] == UNKNOWN).all()
    generate = MaskSettings(generate=0, extend=0, lead_in=0, inpaint=0, spans=0)
    assert (_batches(folder, masks=generate).batch(0).kinds == UNKNOWN).all()
