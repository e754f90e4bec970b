"""The whole evaluation on music composed here, with a tiny model and an embedding made here."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sounds import noise, save, tone
from tests.tiny_audio import HOP_SAMPLES, LABELS, RATE_HZ, config, write_tiny_bundle
from tests.toy_text import ToyTexts

from segue.audio.data.clips import Clips
from segue.audio.data.prepare import PrepareSettings, prepare
from segue.audio.evaluate import points
from segue.audio.evaluate.collections import (
    ClipSettings,
    Collection,
    clip_folder,
    clip_paths,
    draw_real,
    load_clips,
    load_latents,
    make_clips,
)
from segue.audio.evaluate.compare import _clip, compare, write_comparison
from segue.audio.evaluate.evaluation import (
    AudioEvaluation,
    _wanted,
    evaluate,
    numbers,
    summarise,
    write_results,
)
from segue.audio.evaluate.pictures import maps_of
from segue.audio.evaluate.plan import AudioEvaluationSettings, make_plan
from segue.audio.evaluate.points import CollectionPoints, embedding_mark
from segue.audio.evaluate.report import write_report
from segue.audio.signal import read_audio, resample
from segue.core.split import SplitSettings
from segue.errors import DataError, MissingExtraError, SettingError

SETTINGS = AudioEvaluationSettings(
    clips=8, seconds=1.0, opus=(), steps=1, training_clips=12, examples=1, seed=3
)


class Bands:
    """Log powers of eight bands, a point every quarter of a second."""

    name, rate_hz, dims = "musicnn", RATE_HZ, 8

    def embed(self, audio: NDArray[np.float32]) -> NDArray[np.float64]:
        windows = audio[: len(audio) // 2000 * 2000].reshape(-1, 2000)
        power = np.abs(np.fft.rfft(windows * np.hanning(2000))) ** 2
        return np.log(power[:, :1000].reshape(len(windows), 8, -1).mean(axis=2) + 1e-9)


@pytest.fixture(autouse=True, scope="module")
def bands() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("points", "evaluation"):
            patch.setattr(f"segue.audio.evaluate.{module}.open_embedding", lambda _: Bands())
        points._embedding.cache_clear()
        yield
    points._embedding.cache_clear()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty recordings of two labels; the artists are many, so that every split has some."""
    folder = tmp_path_factory.mktemp("evaluated")
    for number in range(60):
        label = LABELS[number % 2]
        rng = np.random.default_rng(number)
        wave = tone(3.2, hz=150 + 20 * number, rate_hz=RATE_HZ) * rng.uniform(0.5, 1)
        path = folder / "music" / label / f"artist{number}" / f"{number}.wav"
        save(path, wave + noise(3.2, number, rate_hz=RATE_HZ, level=0.01), RATE_HZ)
    settings = PrepareSettings(
        rate_hz=RATE_HZ,
        segment_seconds=1,
        min_seconds=1,
        group_by="file",
        split=SplitSettings(valid_share=0.2, test_share=0.2),
    )
    prepare([folder / "music"], folder / "prepared", settings, workers=0)
    return folder / "prepared"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("tiny") / "tiny").folder


@pytest.fixture(scope="module")
def evaluated(
    prepared: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> AudioEvaluation:
    folder = tmp_path_factory.mktemp("result")
    outside = save(folder / "elsewhere" / "a.wav", tone(1, rate_hz=RATE_HZ), RATE_HZ).parent
    for number in range(5):
        save(outside / f"{number}.wav", noise(1, number, rate_hz=RATE_HZ), RATE_HZ)
    found = evaluate(
        str(bundle), prepared, folder / "result", settings=SETTINGS,
        outside={"elsewhere": outside}, workers=0,
    )  # fmt: skip
    write_results(found)
    return found


# Clips -------------------------------------------------------------------------------------------


def test_parts_share_no_recording_and_are_alike(prepared: Path) -> None:
    clips = Clips(prepared, "train")
    first, second = draw_real(clips, 12, seconds=1.0, seed=0)
    assert len(first) == len(second) == 12
    assert not {clip.name for clip in first} & {clip.name for clip in second}
    shares = [sum(clip.labels[0] == LABELS[0] for clip in part) for part in (first, second)]
    assert abs(shares[0] - shares[1]) <= 2
    assert draw_real(clips, 12, seconds=1.0, seed=0) == (first, second)
    assert draw_real(clips, 12, seconds=1.0, seed=1) != (first, second)


def test_a_recording_gives_a_second_clip_only_after_all(prepared: Path) -> None:
    clips = Clips(prepared, "train")
    (drawn,) = draw_real(clips, len(clips) + 3, seconds=1.0, seed=0, parts=1)
    names = [clip.name for clip in drawn]
    assert len(set(names[: len(clips)])) == len(clips)
    stretches = {(clip.name, clip.start_sample) for clip in drawn}
    assert len(stretches) == len(drawn)


def test_clips_longer_than_all_recordings_are_an_error(prepared: Path) -> None:
    with pytest.raises(DataError, match=r"0 recordings of 30 s"):
        draw_real(Clips(prepared, "train"), 8, seconds=30, seed=0)


def test_real_clips_are_the_recordings_samples(prepared: Path, tmp_path: Path) -> None:
    music = Clips(prepared, "train")
    (drawn,) = draw_real(music, 9, seconds=1.0, seed=0, parts=1)
    settings = ClipSettings(RATE_HZ, 1, 1.0, 0)
    collection = Collection("real", "real", "real", real=drawn, count=9)
    make_clips([collection], settings, tmp_path, workers=0)
    for clip, audio in zip(drawn, load_clips(collection, settings, tmp_path), strict=True):
        true = music.read(clip.index, clip.start_sample, RATE_HZ)
        assert audio.shape == (1, RATE_HZ)
        assert np.abs(audio - true).max() < 1e-4


def test_an_interrupted_collection_goes_on(prepared: Path, bundle: Path, tmp_path: Path) -> None:
    settings = ClipSettings(RATE_HZ, 1, 1.0, 0)
    collection = Collection("prior", "prior", "prior", str(bundle), "", count=10)
    make_clips([collection], settings, tmp_path, workers=0)
    paths = clip_paths(collection, settings, tmp_path)
    before = [path.read_bytes() for path in paths]
    folder = clip_folder(collection, settings, tmp_path)
    (folder / "unit-00008.json").unlink()
    paths[9].unlink()
    kept = paths[0].stat().st_mtime_ns
    make_clips([collection], settings, tmp_path, workers=0)
    assert [path.read_bytes() for path in paths] == before
    assert paths[0].stat().st_mtime_ns == kept


def test_other_settings_are_another_folder(tmp_path: Path) -> None:
    collection = Collection("prior", "prior", "prior", "somewhere", "", count=10)
    folders = {
        clip_folder(collection, ClipSettings(RATE_HZ, 1, seconds, seed), tmp_path)
        for seconds in (1.0, 2.0)
        for seed in (0, 1)
    }
    assert len(folders) == 4


def test_clips_are_known_by_their_contents_alone(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (drawn,) = draw_real(Clips(prepared, "train"), 9, seconds=1.0, seed=0, parts=1)
    settings = ClipSettings(RATE_HZ, 1, 1.0, 0)
    first = Collection("x", "a title", "codec", "one/folder", "stamp", drawn, 9)
    moved = tuple(replace(clip, folder="elsewhere", name="renamed") for clip in drawn)

    def same(one: Collection, other: Collection) -> bool:
        return one.identity(settings) == other.identity(settings)

    assert same(first, replace(first, title="another", source="/other", real=moved))
    late = (replace(drawn[0], start_sample=drawn[0].start_sample + 1), *drawn[1:])
    changes: tuple[dict[str, object], ...] = (
        {"stamp": "other"}, {"real": late}, {"kind": "half"}, {"count": 8}, {"options": (("steps", 2),)},
    )  # fmt: skip
    assert not any(same(first, replace(first, **change)) for change in changes)  # type: ignore[arg-type]
    opus = replace(first, kind="opus", source="8")
    assert not same(opus, replace(opus, source="12"))
    asked = replace(first, kind="generated", asked="labels")
    other = tuple(replace(clip, labels=("another",)) for clip in drawn)
    assert not same(asked, replace(asked, real=other))
    assert same(first, replace(first, real=other))
    before = first.identity(settings)
    monkeypatch.setattr("segue.audio.evaluate.collections.FORMAT", 99)
    assert first.identity(settings) != before


def test_points_are_known_by_the_weights_that_made_them(tmp_path: Path) -> None:
    for name in ("a/b", "a-b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "weights").write_text(name)
    file = tmp_path / "weights"
    marks = [embedding_mark(f"clap:{tmp_path / name}") for name in ("a/b", "a-b")]
    for text in ("one", "two", "one"):
        file.write_text(text)
        marks.append(embedding_mark(f"vggish:{file}"))
    assert marks[2] == marks[4]
    assert len(set(marks)) == 4
    assert embedding_mark("musicnn") == embedding_mark("musicnn") != embedding_mark("clap")


def test_a_name_is_no_way_out_of_the_folder(tmp_path: Path) -> None:
    settings = ClipSettings(RATE_HZ, 1, 1.0, 0)
    for name in ("../../else", "/else", "a/b", "..", "c:\\d", "x" * 300):
        found = clip_folder(Collection(name, name, "files"), settings, tmp_path)
        assert found.parent == tmp_path
        assert len(found.name) < 100
    same = [Collection(name, name, "files") for name in ("a/b", "a-b")]
    assert len({clip_folder(each, settings, tmp_path) for each in same}) == 2


def test_a_bundle_of_another_rate_writes_clips_of_the_rate_of_all(tmp_path: Path) -> None:
    slow = RATE_HZ // 2
    written = write_tiny_bundle(tmp_path / "slow", audio={"rate_hz": slow, "channels": 1})
    collection = Collection("slow", "slow", "generated", str(written.folder), "", count=1)
    own, common = (ClipSettings(rate_hz, 1, 1.0, 0) for rate_hz in (slow, RATE_HZ))
    for settings in (own, common):
        make_clips([collection], settings, tmp_path, workers=0)
    (at_own,), (at_common,) = (load_clips(collection, s, tmp_path) for s in (own, common))
    assert at_common.shape == (1, RATE_HZ)
    assert np.abs(at_own[:, -slow // 4 :]).max() > 0.01
    assert np.abs(at_common - resample(at_own, slow, RATE_HZ)).max() < 0.002


def test_of_a_bundle_of_one_length_only_the_clip_is_kept(tmp_path: Path) -> None:
    codec = config()["codec"] | {"length_free": False}
    written = write_tiny_bundle(tmp_path / "fixed", codec=codec)
    settings = ClipSettings(RATE_HZ, 1, 0.5, 0)
    for kind in ("generated", "prior"):
        collection = Collection(kind, kind, kind, str(written.folder), "", count=1)
        make_clips([collection], settings, tmp_path, workers=0)
        (latents,) = load_latents(collection, settings, tmp_path)
        assert len(latents) == -(-RATE_HZ // 2 // HOP_SAMPLES)


def test_points_of_some_clips() -> None:
    groups, numbers = np.array(["b", "a", "a", "b", "c"]), np.array([0, 1, 1, 2, 3])
    every = CollectionPoints(np.arange(5.0)[:, None], groups, 4, 0, numbers)
    assert every.first(3).vectors.ravel().tolist() == [0, 1, 2, 3]
    assert every.first(3).num_clips == 3
    assert every.one_each().vectors.ravel().tolist() == [0, 1, 2, 4]
    assert every.one_each().num_clips == 3


# The plan ----------------------------------------------------------------------------------------


def test_what_no_bundle_writes_is_an_error(prepared: Path, bundle: Path, tmp_path: Path) -> None:
    codec = config()["codec"] | {"length_free": False}
    fixed = write_tiny_bundle(tmp_path / "fixed", codec=codec)
    with pytest.raises(SettingError, match=r"0\.768 seconds"):
        make_plan(str(bundle), prepared, tmp_path, SETTINGS, beside=[str(fixed.folder)])


def test_labels_that_the_bundle_does_not_know_are_not_asked_for(
    prepared: Path, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", labels=["Polka", "Fado", "Raga"])
    plan = make_plan(str(other.folder), prepared, tmp_path, SETTINGS)
    assert not plan.collections["generated"].asked
    assert "generated-free" not in plan.collections


def test_without_a_reader_of_texts_the_rest_is_measured(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise MissingExtraError("no words here.")

    written = write_tiny_bundle(tmp_path / "told", text={"encoder": "wordllama", "dims": 4})
    monkeypatch.setattr("segue.audio.evaluate.plan.open_text_encoder", missing)
    plan = make_plan(str(written.folder), prepared, tmp_path, SETTINGS)
    assert plan.left_out == ("generated-text: no words here.",)
    assert "generated-text" not in plan.collections
    monkeypatch.setattr("segue.audio.evaluate.plan.open_text_encoder", lambda _: ToyTexts())
    plan = make_plan(str(written.folder), prepared, tmp_path, SETTINGS)
    assert "generated-text" in plan.collections
    assert not plan.left_out
    monkeypatch.setattr(ToyTexts, "encode", lambda _, texts: np.zeros((len(texts), 4)))
    plan = make_plan(str(written.folder), prepared, tmp_path, SETTINGS)
    assert "generated-text" not in plan.collections
    assert "knows no word of" in plan.left_out[0]


def test_clips_from_elsewhere_are_known_by_their_contents(
    prepared: Path, bundle: Path, tmp_path: Path
) -> None:
    found = []
    for seed in (1, 2):
        folder = save(tmp_path / "x" / "a.wav", noise(1, seed, rate_hz=RATE_HZ), RATE_HZ).parent
        plan = make_plan(str(bundle), prepared, tmp_path, SETTINGS, outside={"x": folder})
        found.append(clip_folder(plan.collections["x"], plan.clip_settings, plan.work))
    assert found[0] != found[1]


def test_clips_from_elsewhere_that_are_too_short_are_an_error(
    prepared: Path, bundle: Path, tmp_path: Path
) -> None:
    for name, seconds in (("a", 1.0), ("b", 0.97), ("c", 1.5)):
        folder = save(tmp_path / "x" / f"{name}.wav", noise(seconds, 1, rate_hz=RATE_HZ), RATE_HZ)
    outside = {"x": folder.parent}
    plan = make_plan(str(bundle), prepared, tmp_path, SETTINGS, outside=outside)
    assert plan.collections["x"].count == 3
    save(folder.parent / "d.wav", noise(0.9, 1, rate_hz=RATE_HZ), RATE_HZ)
    with pytest.raises(DataError, match=r"d\.wav lasts 0\.90 seconds"):
        make_plan(str(bundle), prepared, tmp_path, SETTINGS, outside=outside)


def test_bundles_of_one_folder_name_are_told_apart_by_names(prepared: Path, tmp_path: Path) -> None:
    one, two, three = (
        str(write_tiny_bundle(tmp_path / each / "bundle").folder) for each in ("a", "b", "c")
    )
    with pytest.raises(SettingError, match="Two collections are called bundle"):
        make_plan(one, prepared, tmp_path, SETTINGS, beside=[two, three])
    plan = make_plan(one, prepared, tmp_path, SETTINGS, beside={"two": two, "three": three})
    assert {"generated", "two", "three"} <= set(plan.collections)
    assert plan.collections["two"].source == two
    assert "two" in plan.collections["two"].title


def test_held_out_clips_are_of_both_splits(prepared: Path, bundle: Path, tmp_path: Path) -> None:
    held = make_plan(str(bundle), prepared, tmp_path, SETTINGS).collections["held-out"].real
    music = {split: len(Clips(prepared, split)) for split in ("valid", "test")}
    count = sum(music.values())
    assert len(held) > count
    assert len({(clip.split, clip.name) for clip in held[:count]}) == count
    assert {clip.split for clip in held[: count // 2]} == {"valid", "test"}
    assert [clip.split for clip in held[:count]] != sorted(clip.split for clip in held[:count])


def test_too_few_recordings_are_told_before_anything_is_made(
    prepared: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "few"
    for number in range(6):
        wave = noise(3.2, number, rate_hz=RATE_HZ)
        save(folder / "music" / f"{number}.wav", wave, RATE_HZ)
    settings = PrepareSettings(rate_hz=RATE_HZ, segment_seconds=1, min_seconds=1)
    settings = settings.model_copy(
        update={"split": SplitSettings(valid_share=0, test_share=0), "group_by": "file"}
    )
    prepare([folder / "music"], folder / "prepared", settings, workers=0)
    with pytest.raises(DataError, match="3 recordings"):
        make_plan(str(bundle), folder / "prepared", tmp_path, SETTINGS)


# The whole ---------------------------------------------------------------------------------------


def test_everything_is_measured(evaluated: AudioEvaluation) -> None:
    table = evaluated.distances["musicnn"]
    named = {row.name for row in table.rows}
    assert named == {
        "real", "codec", "half", "prior", "generated", "generated-free", "elsewhere",
    }  # fmt: skip
    assert table.row("real").kernel.mean < table.row("prior").kernel.mean
    assert evaluated.equal["elsewhere"].row("generated").num_recordings == 6
    assert set(evaluated.pairs) == {"real", "codec", "half"}
    assert set(evaluated.sliced) == {"prior", "generated", "generated-free"}
    assert set(evaluated.diversity) >= {"prior", "generated", "elsewhere"}
    assert evaluated.health["reference"].silent_rate.mean == 0
    assert set(evaluated.memory) == {"embedding", "spectral"}
    assert evaluated.memory["spectral"].num_real >= 20
    assert not evaluated.left_out


def test_the_deck_s_baseline_is_nearer_than_a_codec_that_knows_nothing(
    evaluated: AudioEvaluation,
) -> None:
    pairs = evaluated.pairs
    assert pairs["half"]["log_spectral_db"].mean < pairs["codec"]["log_spectral_db"].mean


def test_the_same_twice(
    evaluated: AudioEvaluation, prepared: Path, bundle: Path, tmp_path: Path
) -> None:
    outside = {"elsewhere": Path(evaluated.plan.collections["elsewhere"].source)}
    again = evaluate(str(bundle), prepared, tmp_path, settings=SETTINGS, outside=outside, workers=0)
    assert numbers(again) == numbers(evaluated)


def test_a_second_call_makes_nothing_anew(
    evaluated: AudioEvaluation, prepared: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("segue.audio.evaluate.collections._make_unit", fail)
    monkeypatch.setattr("segue.audio.evaluate.points._embed", fail)
    monkeypatch.setattr("segue.audio.evaluate.paired._measure", fail)
    outside = {"elsewhere": Path(evaluated.plan.collections["elsewhere"].source)}
    again = evaluate(
        str(bundle), prepared, evaluated.plan.folder, settings=SETTINGS, outside=outside, workers=0
    )
    assert numbers(again) == numbers(evaluated)


def test_planted_silence_and_copies_are_found(prepared: Path, bundle: Path, tmp_path: Path) -> None:
    music = Clips(prepared, "train")
    outside = tmp_path / "planted"
    for number in range(6):
        save(outside / f"{number}.wav", music.read(number, 0, RATE_HZ)[0], RATE_HZ)
    for number in range(6, 8):
        save(outside / f"{number}.wav", np.zeros(RATE_HZ), RATE_HZ)
    found = evaluate(
        str(bundle), prepared, tmp_path / "result", settings=SETTINGS,
        outside={"planted": outside}, workers=0,
    )  # fmt: skip
    assert found.health["planted"].silent_rate.mean == pytest.approx(2 / 8)
    assert found.health["generated"].silent_rate.mean == 0
    table = found.distances["musicnn"]
    assert table.row("planted").num_silent == 2


def test_a_folder_with_other_things_is_left_alone(
    prepared: Path, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        evaluate(str(bundle), prepared, tmp_path, settings=SETTINGS, workers=0)


def test_two_collections_of_one_name_are_an_error(
    prepared: Path, bundle: Path, tmp_path: Path
) -> None:
    folder = save(tmp_path / "x" / "a.wav", tone(1, rate_hz=RATE_HZ), RATE_HZ).parent
    with pytest.raises(SettingError, match="called prior"):
        evaluate(
            str(bundle), prepared, tmp_path / "r", settings=SETTINGS, outside={"prior": folder},
            workers=0,
        )  # fmt: skip


def test_every_embedding_has_its_table(
    evaluated: AudioEvaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(Bands):
        name = "musicnn-mean-pool"

    named = {"musicnn": Bands(), "musicnn-mean-pool": Other()}
    monkeypatch.setattr("segue.audio.evaluate.evaluation.open_embedding", named.__getitem__)
    points = evaluated.points["musicnn"]
    shifted = {
        name: CollectionPoints(
            p.vectors * (2 if name == "reference" else 1), p.groups, p.num_clips, 0, p.numbers
        )
        for name, p in points.items()
    }
    both = {"musicnn": points, "musicnn-mean-pool": shifted}
    found = summarise(evaluated.plan, both, evaluated.pairs)
    assert {name: table.embedding for name, table in found.distances.items()} == {
        name: name for name in named
    }
    first, second = (table.row("real").kernel.mean for table in found.distances.values())
    assert second > first


def test_a_second_clip_of_a_recording_is_no_smaller_collection(
    evaluated: AudioEvaluation,
) -> None:
    points = evaluated.points["musicnn"]
    pooled = {
        name: CollectionPoints(
            p.vectors,
            np.array([f"{number % 7}" for number in p.numbers]),
            p.num_clips,
            0,
            p.numbers,
        )
        if name in ("reference", "real", "codec", "half")
        else p
        for name, p in points.items()
    }
    found = summarise(evaluated.plan, {"musicnn": pooled}, evaluated.pairs)
    assert set(found.equal) == {"elsewhere"}
    table = found.equal["elsewhere"]
    assert table.row("real").num_clips == table.row("elsewhere").num_clips == 6


def test_another_bundle_is_judged_by_what_it_was_asked(
    evaluated: AudioEvaluation, tmp_path: Path
) -> None:
    other = write_tiny_bundle(tmp_path / "other", labels=["Rock", "Fado", "Raga"]).folder
    clip = replace(evaluated.plan.collections["real"].real[0], labels=("Jazz", "Rock"))
    found = [
        _wanted(evaluated.plan, Collection("x", "x", "generated", source, "", (clip,), 1, "labels"))
        for source in (str(other), evaluated.plan.collections["generated"].source)
    ]
    assert found == [{"x/000000": "Rock"}, {"x/000000": "Jazz"}]


def test_clips_of_one_recording_are_no_neighbours_on_maps(
    evaluated: AudioEvaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def watched(latents: object, labels: object, *, groups: list[str], **_: object) -> None:
        seen.append(groups)

    assert maps_of(evaluated) == []  # 32 clips: too few for a map, and no error
    monkeypatch.setattr("segue.audio.evaluate.pictures._FEWEST", 12)
    monkeypatch.setattr("segue.audio.evaluate.pictures.latent_maps", watched)
    monkeypatch.setattr("segue.audio.evaluate.pictures.latent_map_pictures", lambda _: [])
    maps_of(evaluated)
    names = [clip.name for clip in evaluated.plan.collections["real"].real]
    assert seen[0][: len(names)] == names
    assert len(seen[0]) == 4 * len(names)


# The page ----------------------------------------------------------------------------------------


def test_the_page_opens_offline_and_holds_every_number(evaluated: AudioEvaluation) -> None:
    page = write_report(evaluated)
    text = unescape(page.read_text("utf-8"))
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    for each in evaluated.plan.collections.values():
        if each.name in evaluated.plan.compared:
            assert each.title in text
    assert text.count("<audio") >= 5
    assert (page.parent / "pictures" / "kernel-distance-musicnn.png").is_file()
    stored = json.loads((page.parent / "metrics.json").read_text("utf-8"))
    assert stored["settings"]["seed"] == 3
    assert stored["distances"]["musicnn"]["rows"]


def test_clips_on_the_page_are_heard(evaluated: AudioEvaluation, tmp_path: Path) -> None:
    from segue.audio.evaluate.report import ogg

    clip = evaluated.plan.clips("real")[0]
    (tmp_path / "clip.ogg").write_bytes(ogg(clip, RATE_HZ))
    heard = read_audio(tmp_path / "clip.ogg", None, None)
    assert np.corrcoef(heard[0][:RATE_HZ], clip[0][: len(heard[0])])[0, 1] > 0.9


# Side by side ------------------------------------------------------------------------------------


def test_an_evaluation_beside_itself_differs_in_nothing(
    evaluated: AudioEvaluation, tmp_path: Path
) -> None:
    folder = evaluated.plan.folder
    found = compare(folder, folder)
    assert found.lines
    assert not found.warnings
    assert all(line.better is None for line in found.lines)
    write_comparison(found, tmp_path / "both.html")
    assert "<audio" in (tmp_path / "both.html").read_text("utf-8")


def test_what_was_asked_for_nothing_is_not_shown_for_what_was_asked(
    evaluated: AudioEvaluation,
) -> None:
    plan = evaluated.plan
    folder = clip_folder(plan.collections["generated"], plan.clip_settings, plan.work)
    assert _clip(plan.folder, 0) == folder / "00000.flac"


def test_other_music_and_settings_are_told(evaluated: AudioEvaluation, tmp_path: Path) -> None:
    other = json.loads((evaluated.plan.folder / "metrics.json").read_text("utf-8"))
    other["settings"]["seconds"] = 2.0
    other["collections"]["reference"]["music"] = "another"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.json").write_text(json.dumps(other))
    found = compare(evaluated.plan.folder, tmp_path / "other")
    assert len(found.warnings) == 2
    assert "seconds" in found.warnings[0]


def test_another_version_or_sampling_is_told(evaluated: AudioEvaluation, tmp_path: Path) -> None:
    other = json.loads((evaluated.plan.folder / "metrics.json").read_text("utf-8"))
    other["segue"] = "0.0.1"
    other["sampling"] |= {"sampler": "none", "steps": 999, "guidance": 99.0}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.json").write_text(json.dumps(other))
    found = compare(evaluated.plan.folder, tmp_path / "other").warnings
    assert len(found) == 4
    for words, warning in zip(("0.0.1", "sampler", "999", "guidance"), found, strict=True):
        assert words in warning
