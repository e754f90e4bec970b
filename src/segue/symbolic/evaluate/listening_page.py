"""The page of a listening test: one HTML file with sounds, pictures and a short script, offline.

It knows nothing but pairs of sounds under names without meaning; which system stands where is in the
key, which the page does not hold.
"""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from segue.symbolic.evaluate.listening_results import CRITERIA, FORMAT, OVERALL

CHOICES: Final = (("a", "A better"), ("same", "No difference"), ("b", "B better"))

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #ffffff;
  --line: #8c959f; --band: #f4f6f8; --link: #0a5cad; --on-link: #ffffff; --picked: #dcebfa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --soft: #9aa4af; --paper: #14171b;
  --line: #66707b; --band: #1d2227; --link: #7ab8ff; --on-link: #10151a; --picked: #1c3550; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; }
h2 { margin: 0 0 .75rem; font-size: 1.15rem; }
h2:focus { outline: none; }
p { margin: .5rem 0; max-width: 46rem; }
.soft { color: var(--soft); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
input[type=text] { font: inherit; padding: .4rem .6rem; width: 16rem; max-width: 100%;
  color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .35rem; }
button { font: inherit; padding: .5rem 1rem; color: var(--ink); background: var(--band);
  border: 1px solid var(--line); border-radius: .35rem; cursor: pointer; }
button.main { color: var(--on-link); background: var(--link); border-color: var(--link);
  font-weight: 600; }
button:disabled { opacity: .5; cursor: default; }
kbd { padding: 0 .35rem; border: 1px solid var(--line); border-radius: .25rem; font: inherit;
  font-size: .9em; }
.top { display: flex; flex-wrap: wrap; gap: .5rem 1.25rem; align-items: center;
  margin: .75rem 0; }
.top progress { flex: 1 1 10rem; height: .8rem; accent-color: var(--link); }
.pair { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: .75rem 0; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr));
  gap: 1rem; }
figure { display: flex; flex-direction: column; margin: 0; }
figure audio { margin-top: auto; }
figcaption { font-weight: 700; margin-bottom: .35rem; }
img { display: block; width: 100%; height: auto; max-height: 11rem; object-fit: contain;
  background: #ffffff; border-radius: .35rem; margin-bottom: .4rem; }
audio { display: block; width: 100%; height: 2.5rem; }
fieldset { display: grid; grid-template-columns: minmax(9rem, 1fr) auto; gap: .25rem 1rem;
  align-items: center; margin: 0; padding: .5rem 0; border: 0; border-top: 1px solid var(--line); }
.judge { margin-top: 1rem; }
.judge p { margin: 0; }
.judge strong { display: block; }
.judge .soft { font-size: .9rem; }
.overall { border-top: 2px solid var(--line); }
.choices { display: flex; flex-wrap: wrap; gap: .35rem; }
.choices label { display: flex; align-items: center; gap: .35rem; padding: .3rem .7rem;
  border: 1px solid var(--line); border-radius: 2rem; cursor: pointer; white-space: nowrap; }
.choices label:has(:checked) { background: var(--picked); border-color: var(--link); }
.choices input { accent-color: var(--link); margin: 0; }
.hidden-legend { position: absolute; width: 1px; height: 1px; overflow: hidden;
  clip-path: inset(50%); }
@media (max-width: 40rem) { fieldset { grid-template-columns: 1fr; }
  .choices label { padding: .3rem .45rem; font-size: .92rem; } }
[hidden] { display: none !important; }
"""

_SCRIPT: Final = """
"use strict";
(() => {
  const main = document.querySelector("main");
  const pairs = [...document.querySelectorAll(".pair")];
  const name = document.getElementById("listener");
  const bar = document.querySelector("progress");
  const told = document.getElementById("told");
  const done = document.getElementById("done");
  const back = document.getElementById("back");
  const next = document.getElementById("next");
  const perPair = Number(main.dataset.criteria);
  const place = "segue-listening-" + main.dataset.page;
  let shown = 0;

  const picked = pair => [...pair.querySelectorAll("input:checked")];
  const full = pair => picked(pair).length === perPair;

  function state() {
    const answers = {};
    for (const pair of pairs) {
      const given = {};
      for (const input of picked(pair)) given[input.dataset.criterion] = input.value;
      if (Object.keys(given).length) answers[pair.dataset.pair] = given;
    }
    const listener = name.value.trim() || name.dataset.made;
    return {format: main.dataset.format, page: main.dataset.page, listener, answers};
  }

  function keep() {
    try {
      localStorage.setItem(place, JSON.stringify({...state(), typed: name.value, shown}));
    } catch {
      told.hidden = false;
    }
  }

  function bring() {
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(place)); } catch { told.hidden = false; }
    const made = crypto.getRandomValues(new Uint32Array(2));
    name.dataset.made = "listener-" + [...made].map(part => part.toString(36)).join("");
    if (!kept || kept.page !== main.dataset.page) return;
    name.value = kept.typed || "";
    if (!kept.typed && kept.listener) name.dataset.made = kept.listener;
    for (const pair of pairs) {
      const given = (kept.answers || {})[pair.dataset.pair] || {};
      for (const input of pair.querySelectorAll("input"))
        input.checked = given[input.dataset.criterion] === input.value;
    }
    shown = Math.min(Math.max(Number(kept.shown) || 0, 0), pairs.length - 1);
  }

  function count() {
    const ready = pairs.filter(full).length;
    bar.value = ready;
    done.textContent = ready + " of " + pairs.length + " pairs answered";
    const all = ready === pairs.length;
    document.getElementById("finished").hidden = !all;
    document.getElementById("save").classList.toggle("main", all);
    next.classList.toggle("main", !all);
  }

  function quiet(except) {
    for (const sound of document.querySelectorAll("audio"))
      if (sound !== except) sound.pause();
  }

  function show(place, focus) {
    shown = place;
    quiet();
    pairs.forEach((pair, number) => { pair.hidden = number !== shown; });
    back.disabled = shown === 0;
    next.disabled = shown === pairs.length - 1;
    if (focus) {
      pairs[shown].querySelector("h2").focus();
      window.scrollTo(0, 0);
    }
    keep();
  }

  function save() {
    const text = JSON.stringify(state(), null, 1) + "\\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
    link.download = "answers-" + state().listener.replace(/[^\\w-]+/g, "-") + ".json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function play(side) {
    const sound = pairs[shown].querySelectorAll("audio")[side];
    if (!sound.paused) { sound.pause(); return; }
    sound.currentTime = 0;
    sound.play().catch(() => {});
  }

  document.addEventListener("play", event => quiet(event.target), true);
  document.addEventListener("change", () => { count(); keep(); });
  name.addEventListener("input", keep);
  back.addEventListener("click", () => show(shown - 1, true));
  next.addEventListener("click", () => show(shown + 1, true));
  document.getElementById("save").addEventListener("click", save);
  document.addEventListener("keydown", event => {
    if (event.target === name || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "a") play(0);
    else if (key === "b") play(1);
    else if (key === "n" && !next.disabled) show(shown + 1, true);
    else if (key === "p" && !back.disabled) show(shown - 1, true);
    else return;
    event.preventDefault();
  });
  document.getElementById("controls").hidden = false;
  bring();
  count();
  show(shown, false);
})();
"""


class Side(NamedTuple):
    """What stands on one side: a sound, and a PNG picture or None."""

    sound: bytes
    media_type: str
    picture: bytes | None


class PagePair(NamedTuple):
    """A pair as listeners meet it; `name` tells nothing."""

    name: str
    a: Side
    b: Side


def listening_html(pairs: Sequence[PagePair], *, page: str, title: str) -> str:
    """Return the text of the page.

    Args:
        pairs: in the order in which they are played.
        page: name of the page, which its answers carry.
        title: heading.
    """
    script_hash = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    security = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{script_hash}'"
    )
    sections = "\n".join(_section(pair, number, len(pairs)) for number, pair in enumerate(pairs, 1))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{security}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main data-page="{page}" data-format="{FORMAT}" data-criteria="{len(CRITERIA)}">
<h1>{escape(title)}</h1>
<p>Listen to both sides of each pair as often as you like, then say for every question which one is
better. There is no right answer. When you are done, save your answers and send the file to whoever
gave you this page.</p>
<noscript><p><strong>This page needs JavaScript to save your answers.</strong></p></noscript>
<div id="controls" hidden>
<p><label for="listener">Your name, if you like</label>
<input type="text" id="listener" maxlength="80" autocomplete="off"></p>
<p id="told" hidden><strong>This browser keeps nothing when the page is closed: save your answers
before you leave.</strong></p>
<div class="top">
<progress max="{len(pairs)}" value="0" aria-labelledby="done"></progress>
<span id="done" role="status"></span>
</div>
</div>
{sections}
<div class="top">
<button type="button" id="back">Back</button>
<button type="button" id="next" class="main">Next pair</button>
<button type="button" id="save">Save answers</button>
<strong id="finished" role="status" hidden>All answered. Save, and you are done.</strong>
</div>
<p class="soft">Keys: <kbd>A</kbd> and <kbd>B</kbd> play, <kbd>N</kbd> next pair, <kbd>P</kbd> pair
before.</p>
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _section(pair: PagePair, number: int, total: int) -> str:
    """Return one pair with its questions."""
    questions = "\n".join(_question(pair.name, name) for name in CRITERIA)
    return (
        f'<section class="pair" data-pair="{pair.name}" aria-labelledby="title-{pair.name}">\n'
        f'<h2 id="title-{pair.name}" tabindex="-1">Pair {number} of {total}</h2>\n'
        f'<div class="sides">\n{_side("A", pair.a)}\n{_side("B", pair.b)}\n</div>\n'
        f'<div class="judge">\n{questions}\n</div>\n</section>'
    )


def _side(label: str, side: Side) -> str:
    """Return picture and sound of one side."""
    picture = ""
    if side.picture is not None:
        source = _data_uri(side.picture, "image/png")
        picture = f'<img src="{source}" alt="Piano roll of {label}">'
    sound = _data_uri(side.sound, side.media_type)
    return (
        f"<figure><figcaption>{label}</figcaption>{picture}"
        f'<audio controls preload="metadata" src="{sound}" aria-label="Sound {label}"></audio></figure>'
    )


def _question(pair: str, criterion: str) -> str:
    """Return one question with its three answers."""
    name, meaning = next(words for key, words in CRITERIA.items() if key == criterion)
    group = f"{pair}-{criterion}"
    labels = "".join(
        f'<label><input type="radio" name="{group}" value="{value}" '
        f'data-criterion="{criterion}">{text}</label>'
        for value, text in CHOICES
    )
    weight = ' class="overall"' if criterion == OVERALL else ""
    return (
        f'<fieldset{weight}><legend class="hidden-legend">{name}. {meaning}</legend>'
        f'<p aria-hidden="true"><strong>{name}</strong> <span class="soft">{meaning}</span></p>'
        f'<div class="choices">{labels}</div></fieldset>'
    )


def _data_uri(content: bytes, media_type: str) -> str:
    """Return a file as part of the page."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
