"""The maker of the gallery: one task, one seed, files and a page that hold together."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from gallery_code import gallery, maker

from segue.audio.condition import Condition
from segue.errors import DataError, MissingExtraError
from segue.runtime.bundle import Bundle
from segue.symbolic.render import piano_roll_of
from segue.symbolic.score import Piece
from segue.symbolic.splice import notes_inside
from segue.symbolic.tokenizer import Tokenizer
from segue.symbolic.vocabulary import TokenType

AUDIO, FILLINGS, ITEMS, MEDIA = map(
    gallery, ("making.audio", "making.fillings", "making.items", "making.media")
)
PITCHES = (TokenType.PITCH, TokenType.PITCH_DRUM)
TASKS = {task.slug: task for task in gallery("pieces.catalogue").catalogue()}


class Links(HTMLParser):
    """What a page points at, and what it brings."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.alts: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.targets += [found[name] or "" for name in ("src", "href") if name in found]
        self.alts += [found.get("alt") or ""] if tag == "img" else []
        self.handlers += [name for name in found if name.startswith("on")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    maker().main(["-o", str(folder), "--only", "orchestra"])
    return folder


def work(slug: str) -> object:
    vocabulary = Tokenizer.from_file(Bundle.open().path("tokenizer.json")).vocabulary
    piece = Piece.from_bytes(TASKS[slug].midi(), name=slug)
    return FILLINGS.Work.of(vocabulary, piece, TASKS[slug].region)


@pytest.mark.slow
def test_every_link_of_the_page_leads_somewhere(made: Path) -> None:
    text = (made / "index.html").read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    for target in page.targets:
        if target.startswith("#"):
            assert target[1:] in page.ids
        else:
            assert "//" not in target
            assert (made / target).is_file(), target
    assert "script" not in page.tags
    assert not page.handlers
    assert len(page.alts) == page.tags.count("audio") == 5
    assert all("Piano roll of" in alt for alt in page.alts)
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.slow
def test_an_item_names_its_settings_and_every_version(made: Path) -> None:
    (item,) = json.loads((made / "items.json").read_text(encoding="utf-8"))
    assert [version["key"] for version in item["versions"]] == [
        "before", "hole", "after", "markov", "repeat",
    ]  # fmt: skip
    facts = dict(item["facts"])
    assert "seed 0" in facts["Drawn with"]
    assert "temperature" in facts["Drawn with"]
    assert facts["Bundle"].startswith(Bundle.open().name)
    assert "nine other pieces" in facts["Markov chain"]
    for version in item["versions"]:
        sound = soundfile.info(made / version["sound"])
        assert sound.frames / sound.samplerate == pytest.approx(version["seconds"], abs=0.02)
        assert version["seconds"] < 19


@pytest.mark.slow
def test_only_the_region_changes(made: Path) -> None:
    task = TASKS["orchestra"]
    before = Piece.open(made / "orchestra-before.mid")
    region = before.resolve(task.region)
    assert before.to_bytes() == task.midi()
    fields = ["track", "pitch", "onset_ticks", "duration_ticks", "velocity"]
    outside = before.notes[~notes_inside(before, region)][fields]
    for key in ("hole", "after", "markov", "repeat"):
        piece = Piece.open(made / f"orchestra-{key}.mid")
        inside = notes_inside(piece, region)
        assert (piece.notes[~inside][fields] == outside).all()
        assert inside.any() == (key != "hole")


@pytest.mark.slow
def test_an_item_is_made_anew_alone(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(made, folder)
    items = ITEMS.read_items(folder)
    other = items["orchestra"]
    old = ITEMS.Item(**{**vars(other), "slug": "waltz", "title": "Kept as it is", "versions": []})
    ITEMS.write_items(folder, [old, other])
    (folder / "mine.png").write_bytes(b"not of the gallery")
    maker().main(["-o", str(folder), "--only", "orchestra"])
    assert "MB" in capsys.readouterr().out
    assert list(ITEMS.read_items(folder)) == ["waltz", "orchestra"]
    assert "Kept as it is" in (folder / "index.html").read_text(encoding="utf-8")
    assert (folder / "mine.png").exists()
    for path in made.glob("*.*"):
        if path.suffix in (".mid", ".ogg", ".png"):
            assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_unknown_items_are_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"symphony.*waltz"):
        maker().main(["-o", str(tmp_path), "--only", "symphony"])


def test_a_damaged_list_is_said(tmp_path: Path) -> None:
    assert ITEMS.read_items(tmp_path) == {}
    (tmp_path / "items.json").write_text('[{"slug": "waltz"}]', encoding="utf-8")
    with pytest.raises(DataError, match="anew"):
        ITEMS.read_items(tmp_path)


def test_repeating_plays_the_bars_before_the_hole() -> None:
    task = work("drums")
    piece = FILLINGS.repeated(task)
    bar = 4 * 480
    found = piece.notes[["pitch", "onset_ticks"]]
    was = found[(found["onset_ticks"] >= 4 * bar) & (found["onset_ticks"] < 8 * bar)].tolist()
    now = found[(found["onset_ticks"] >= 8 * bar) & (found["onset_ticks"] < 12 * bar)].tolist()
    assert [(pitch, onset - 4 * bar) for pitch, onset in now] == was


def test_repeating_is_silent_where_nothing_stands_before() -> None:
    task = work("band")
    piece = FILLINGS.repeated(task)
    assert not notes_inside(piece, task.region).any()


@pytest.mark.parametrize("slug", ["drums", "waltz"])
def test_a_chain_is_not_fitted_on_what_stood_in_the_hole(slug: str) -> None:
    full = work(slug)
    empty = FILLINGS.emptied(full.piece, TASKS[slug].region)
    bare = FILLINGS.Work.of(full.vocabulary, empty, TASKS[slug].region)
    answers = [
        sorted(
            tuple(ids.tolist())
            for ids in FILLINGS._answers(w.vocabulary, w.grid, w.removed, w.hole)
        )
        for w in (full, bare)
    ]
    assert len(answers[0]) > 10
    assert answers[0] == answers[1]
    separator = full.vocabulary.first(TokenType.SEP)
    assert all(ids[0] == separator for ids in answers[0])
    notes = [np.isin(full.vocabulary.types[list(ids)], PITCHES).sum() for ids in answers[0]]
    assert min(notes) > 0, "a silent hole was learnt"


def test_the_same_sound_makes_the_same_file(tmp_path: Path) -> None:
    sound = np.sin(np.arange(48_000) * 0.05).astype(np.float32) * 0.4
    first, again = tmp_path / "a.ogg", tmp_path / "b" / "a.ogg"
    again.parent.mkdir()
    assert MEDIA.write_opus(first, sound, 48_000) == MEDIA.write_opus(again, sound, 48_000) == 1.0
    assert first.read_bytes() == again.read_bytes()
    heard, rate_hz = soundfile.read(first)
    assert (len(heard), rate_hz) == (48_000, 48_000)
    assert np.corrcoef(heard[2000:-2000], sound[2000:-2000])[0, 1] > 0.99


@pytest.mark.parametrize("slug", ["waltz", "band", "drums"])
def test_names_of_tracks_lie_within_the_picture(slug: str, tmp_path: Path) -> None:
    piece = Piece.from_bytes(TASKS[slug].midi(), name=slug)
    figure = piano_roll_of(piece, region=TASKS[slug].region, context_bars=2)
    width, _ = MEDIA.write_roll(figure, tmp_path / "roll.png")
    assert width == figure.bbox.width * MEDIA.DOTS_PER_INCH / figure.dpi
    figure.canvas.draw()
    names = {track.name for track in piece.tracks}
    (axes,) = figure.axes
    shown = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert names <= set(shown)
    ticks = min(label.get_window_extent().x0 for label in axes.get_yticklabels())
    for name in names:
        assert shown[name].x0 >= 0
        assert shown[name].x1 <= ticks


def known(labels: tuple[str, ...], *, text: bool, installed: bool = True) -> SimpleNamespace:
    """A model that knows labels, and perhaps text."""

    def told(condition: Condition) -> None:
        if condition.text and not installed:
            raise MissingExtraError("no encoder")

    parts = SimpleNamespace(text=object() if text else None)
    return SimpleNamespace(labels=labels, parts=parts, told=told)


@pytest.mark.parametrize(
    ("model", "labels", "has_text"),
    [
        (known(("piano", "Song"), text=False), ("Song",), False),
        (known(("piano", "choir", "song"), text=True), ("choir",), True),
        (known(("piano",), text=False), (), False),
        (known(("choir",), text=True, installed=False), ("choir",), False),
    ],
)
def test_what_is_asked_is_what_the_model_knows(
    model: SimpleNamespace, labels: tuple[str, ...], has_text: bool
) -> None:
    clip = next(clip for clip in AUDIO.CLIPS if clip.category == "Choir")
    condition = AUDIO.asked(model, clip)
    assert condition.labels == labels
    assert bool(condition.text) == has_text
    assert all(label in AUDIO.in_words(condition) for label in labels)
    assert ("nothing" in AUDIO.in_words(condition)) == (not condition)


def test_there_are_ten_clips_in_the_fixed_categories() -> None:
    found = [clip.category for clip in AUDIO.CLIPS]
    assert {name: found.count(name) for name in found} == {
        "Drums": 1, "Fast electronic": 1, "Piano": 2, "Ensemble": 1, "Choir": 1, "Quartet": 1,
        "Band": 1, "Before and after": 2,
    }  # fmt: skip
    asked = [(clip.labels, clip.seed) for clip in AUDIO.CLIPS if not clip.piece]
    assert len(set(asked)) == len(asked)


def test_a_hole_is_filled_at_the_level_of_what_surrounds_it() -> None:
    rng = np.random.default_rng(0)
    audio = rng.normal(0, 0.1, (1, 16_000)).astype(np.float32)
    noise = rng.normal(0, 0.01, (1, 4_000)).astype(np.float32)
    silent = AUDIO._with_hole(audio, None, (0.25, 0.5), 16_000)
    filled = AUDIO._with_hole(audio, noise, (0.25, 0.5), 16_000)
    for made in (silent, filled):
        assert (made[:, :4_000] == audio[:, :4_000]).all()
        assert (made[:, 8_000:] == audio[:, 8_000:]).all()
    assert not silent[:, 4_000:8_000].any()
    assert filled[:, 4_400:7_600].std() == pytest.approx(0.1, rel=0.1)
