"""What there is: models by name, their cards and evaluations, reports."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.studio_asked import refused
from tests.studio_served import served

from segue.errors import BundleError, SegueError
from segue.runtime.bundle import Bundle, list_bundles, write_bundle
from segue.studio.look_api import training_facts
from segue.studio.models import Models
from segue.studio.problems import NotFound
from segue.symbolic.instruments import INSTRUMENTS

SHIPPED = {"midi": "midigpt-small", "audio": "ldmg-small"}
REPORT = "<!DOCTYPE html><html><head><title>Fills &amp; holes</title></head><body>3.5</body></html>"


def copied(folder: Path, *, evaluation: str = "{}", **changes: Any) -> Path:
    """A bundle like the shipped one for notes, without its graph."""
    config = json.dumps({**Bundle.open("midigpt-small").config, **changes})
    write_bundle(folder, {"config.json": config, "evaluation.json": evaluation})
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("look")
    for name in ("one/report", "two/report", "empty"):
        (folder / name).mkdir(parents=True)
        if name != "empty":
            (folder / name / "index.html").write_text(REPORT)
    (folder / "single.html").write_text("<p>untitled</p>")
    mine = copied(folder / "mine", name="my model", evaluation='{"tables": 3}')
    with (
        served(
            folder / "studio",
            bundles=(mine,),
            reports=(*(folder / n for n in ("one/report", "two/report", "empty", "single.html")),),
        ) as running,
        httpx.Client(base_url=running.url, timeout=60) as asking,
    ):
        yield asking


def test_what_is_offered(client: httpx.Client) -> None:
    told = client.get("/api/info").raise_for_status().json()
    midi, audio = (
        {model["name"]: model for model in told["models"][kind]} for kind in ("midi", "audio")
    )
    assert set(midi) == {"midigpt-small", "my-model"}
    assert midi["midigpt-small"]["default"]
    assert midi["midigpt-small"]["summary"].startswith("Fills holes in MIDI")
    assert midi["midigpt-small"]["defaults"] == {"temperature": 1.0, "top_p": 0.98, "top_k": None}
    assert not midi["my-model"]["default"]
    shown = audio["ldmg-small"]
    assert (shown["rate_hz"], shown["channels"], shown["text"]) == (16_000, 1, True)
    assert "piano" in shown["labels"]
    assert shown["window_seconds"] == pytest.approx(10, abs=0.2)
    programs = {each["name"]: each["program"] for each in told["instruments"]}
    assert len(programs) == len(INSTRUMENTS) + 1
    assert (programs["Acoustic Grand Piano"], programs["Drums"]) == (0, -1)
    assert told["families"][-1] == "Drums"
    assert "euler" in told["samplers"]
    assert {demo["name"] for demo in told["demos"]} == {"quartet", "trio"}
    assert told["limits"]["candidates"] > 0


@pytest.mark.parametrize(("kind", "name"), SHIPPED.items())
def test_a_shipped_model_tells_of_itself(client: httpx.Client, kind: str, name: str) -> None:
    told = client.get(f"/api/models/{name}").raise_for_status().json()
    assert told["kind"] == kind
    assert told["card"].startswith(f"# {name}")
    assert told["size_bytes"] > 3_000_000
    assert told["training"]["hardware"]
    assert told["training"]["recipe"].startswith(name)
    tables = told["evaluation"]["tables"]
    assert len(tables) >= 3
    for table in tables:
        assert table["title"]
        assert table["note"]
        assert table["rows"]
        assert {len(row) for row in table["rows"]} == {len(table["columns"])}
    assert any(row[0] == name for row in tables[0]["rows"]) or kind == "audio"


@pytest.mark.parametrize("bundle", list_bundles(), ids=lambda bundle: bundle.folder.name)
def test_evaluations_are_small_and_whole(bundle: Bundle) -> None:
    path = bundle.path("evaluation.json")
    assert path.stat().st_size < 20_000
    assert "evaluation.json" in bundle.verify()


def test_an_evaluation_that_cannot_be_read_is_none(client: httpx.Client) -> None:
    told = client.get("/api/models/my-model").raise_for_status().json()
    assert told["evaluation"] is None
    assert told["card"] == ""


@pytest.mark.parametrize("name", ["midigpt-smal", "..", "a" * 500, "%2Fetc", "..%2Fweights"])
def test_models_that_are_not_there(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/api/models/{name}")
    if name != "..":
        refused(answer, "not_found")


def test_reports_are_pages_of_their_own(client: httpx.Client) -> None:
    listed = client.get("/api/reports").raise_for_status().json()
    assert listed == [
        {"name": "report", "title": "Fills & holes"},
        {"name": "report-2", "title": "Fills & holes"},
        {"name": "single-html", "title": "single-html"},
    ]
    page = client.get("/api/reports/report-2")
    assert page.text == REPORT
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox;")
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert page.headers["content-type"].startswith("text/html")
    for name in ("nothing", "..", "%2e%2e%2fone", "index.html"):
        assert client.get(f"/api/reports/{name}").status_code in (404, 200 if name == ".." else 404)


def test_the_description_has_every_route_and_its_errors(client: httpx.Client) -> None:
    told = client.get("/api/openapi.json").raise_for_status().json()
    paths = told["paths"]
    for path in ("/midi/inpaint", "/midi/compose", "/audio/generate", "/audio/vary"):
        asked = paths[f"/api{path}"]["post"]
        assert "$ref" in json.dumps(asked["requestBody"])
        assert asked["description"]
    fields = told["components"]["schemas"]["InpaintNotes"]["properties"]
    assert all("description" in fields[name] for name in fields if name != "piece")
    for path in ("/midi/pieces", "/audio/recordings"):
        body = paths[f"/api{path}"]["post"]["requestBody"]["content"]
        assert list(body) == ["application/octet-stream"]


# Models --------------------------------------------------------------------------------------------


def test_models_go_by_names_of_their_own(tmp_path: Path) -> None:
    folders = [copied(tmp_path / n) for n in "ab"]
    models = Models(folders)
    assert [offer.name for offer in models.all("midi")] == [
        "midigpt-small", "midigpt-small-2", "midigpt-small-3",
    ]  # fmt: skip
    assert models.default("midi") == "midigpt-small"
    assert models.offer("midi", "midigpt-small-3").bundle.folder == folders[1]
    with pytest.raises(NotFound, match="does not write sound"):
        models.offer("audio", "midigpt-small")
    with pytest.raises(NotFound, match="offers no model"):
        models.offer("midi", str(folders[0]))


def test_a_model_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    models = Models()
    assert models.midi() is models.midi("midigpt-small")
    assert models.audio() is models.audio("ldmg-small")
    models.warm_up()


def test_a_bundle_that_is_not_ours_is_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="kind 'speech'"):
        Models([copied(tmp_path / "a", kind="speech")])
    with pytest.raises(BundleError, match="is not a bundle"):
        Models([tmp_path])


@pytest.mark.parametrize("damage", ["{", '{"format": 1}', None])
def test_a_damaged_model_of_the_installation_leaves_the_rest_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damage: str | None
) -> None:
    broken = copied(tmp_path / "broken", sampling={"heat": 1})
    if damage is not None:
        (broken / "config.json").write_text(damage)
    whole = Bundle.open("ldmg-small")
    monkeypatch.setattr("segue.runtime.bundle.list_bundles", lambda: [Bundle(broken), whole])
    with served(tmp_path / "studio") as running:
        told = httpx.get(f"{running.url}/api/info").json()["models"]
        refusal = httpx.post(f"{running.url}/api/midi/compose", json={"bars": 1})
    assert [[model["name"] for model in told[kind]] for kind in ("midi", "audio")] == [
        [], ["ldmg-small"],
    ]  # fmt: skip
    assert "no model that writes notes" in refused(refusal, "not_found")
    with pytest.raises(SegueError):
        Models([broken])


def test_a_model_that_cannot_be_opened_does_not_stop_the_warm_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = copied(tmp_path / "a")
    monkeypatch.setattr("segue.runtime.bundle.list_bundles", lambda: [Bundle.open(broken)])
    Models().warm_up()
    assert "could not be opened" in caplog.text
    shutil.rmtree(broken)


def test_facts_of_training_come_from_the_config_or_the_card() -> None:
    config = {
        "recipe": "small",
        "training": {"steps": 2000, "data": {"pieces": 7, "of": ["a", "b"]}},
    }
    assert training_facts(config) == {
        "recipe": "small", "steps": "2,000", "data pieces": "7", "data of": "a, b",
    }  # fmt: skip
    card = "# It\n\n| | |\n|---|---|\n| hardware | one `core` |\n| hours | 2 |\n\n| a | b |\n"
    assert training_facts({"licence": "MIT"}, card) == {
        "hardware": "one core", "hours": "2", "licence": "MIT",
    }  # fmt: skip
    card = card.replace("hours | 2", "licence of the weights | CC0")
    assert training_facts({"licence": "MIT"}, card) == {
        "hardware": "one core", "licence of the weights": "CC0",
    }  # fmt: skip
    assert training_facts({}) is None
