"""The page: one HTML file beside its sounds and pictures, no script, light and dark."""

from collections.abc import Sequence
from html import escape
from typing import Final

from gallery.making.items import Item, Version

MIDI_CATEGORIES: Final = (
    "Drums", "Fast electronic", "Piano", "Ensemble", "Choir", "Quartet", "Band",
)  # fmt: skip
AUDIO_CATEGORIES: Final = (*MIDI_CATEGORIES, "Before and after")
_KINDS: Final = {
    "midi": (
        "MIDI: ten inpaintings",
        (
            "Each piece was composed by the code beside this page. A region is taken out, every system "
            "fills it, and all of them see the same rest. New notes are orange. The systems know instruments, not tracks: to the baselines the two hands of a piano are one. Heard and seen are the "
            "region and two bars around it, up to 18 seconds; the MIDI files hold the whole piece."
        ),
    ),
    "audio": (
        "Sound: ten clips",
        (
            "Eight clips come from nothing, two go on from a piece above, or mend it. The baseline is the "
            "decoded prior: normal noise for latents, through the same decoder."
        ),
    ),
}

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #59626c; --paper: #fbfaf8; --card: #ffffff;
  --line: #dfe2e6; --band: #f1f0ec; --link: #0a5cad; --new: #b84f00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a0a9b3; --paper: #121416;
  --card: #1a1d21; --line: #31373e; --band: #22262b; --link: #7ab8ff; --new: #ff9d57; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; color: var(--ink); background: var(--paper); overflow-wrap: break-word;
  font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main, header { max-width: 78rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3rem; }
h1 { margin: 0 0 .5rem; font-size: 2.2rem; line-height: 1.15; letter-spacing: -.01em; }
h2 { margin: 3.5rem 0 .5rem; font-size: 1.6rem; line-height: 1.25; }
h3 { margin: 2.5rem 0 .75rem; font-size: .85rem; text-transform: uppercase; letter-spacing: .09em;
  color: var(--soft); }
h4 { margin: 0; font-size: 1.3rem; line-height: 1.3; }
p { margin: .5rem 0; max-width: 48rem; }
a { color: var(--link); }
a:focus-visible, audio:focus-visible, summary:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; border-radius: .2rem; }
.lead { font-size: 1.1rem; }
.soft { color: var(--soft); }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem; background: var(--card); }
nav { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: .25rem 2rem; margin: 1.75rem 0 0; padding: 1rem 1.25rem; background: var(--band);
  border-radius: .6rem; }
nav p { margin: 0; }
nav strong { display: block; }
nav a { display: inline-block; padding: .15rem .6rem .15rem 0; }
article { margin: 0 0 1.5rem; padding: 1.4rem 1.5rem 1.5rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem; }
.asked { font-weight: 600; color: var(--new); }
.versions { display: grid; gap: 1.4rem 1.5rem; margin-top: 1.1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
figure { display: flex; flex-direction: column; margin: 0; min-width: 0; }
figcaption { margin-bottom: .4rem; line-height: 1.4; }
figcaption strong { display: block; }
figcaption span { font-size: .9rem; color: var(--soft); }
.after figcaption strong { color: var(--new); }
.picture { display: block; background: #ffffff; border: 1px solid var(--line); border-radius: .4rem;
  overflow: hidden; }
img { display: block; width: 100%; height: auto; }
.after .picture { border-color: var(--new); box-shadow: 0 0 0 1px var(--new); }
.hear { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .75rem; margin-top: .5rem;
  font-size: .9rem; color: var(--soft); }
audio { flex: 1 1 14rem; min-width: 12rem; max-width: 100%; height: 2.4rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1rem;
  margin: 1.25rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; }
code { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
footer { max-width: 78rem; margin: 0 auto; padding: 1rem 1.5rem 4rem; color: var(--soft);
  font-size: .92rem; }
@media (prefers-color-scheme: dark) { .roll { filter: invert(.92) hue-rotate(180deg); } }
@media (max-width: 40rem) { main, header, footer { padding-left: 1rem; padding-right: 1rem; }
  article { padding: 1rem; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print { audio, nav, .skip { display: none; } figure, article { break-inside: avoid; } }
"""


def page(items: Sequence[Item], *, soundfont: str) -> str:
    """Return the page.

    Args:
        items: in the order of the page.
        soundfont: name of the file that plays the notes.
    """
    sections = "\n".join(
        _section(kind, [item for item in items if item.kind == kind])
        for kind in _KINDS
        if any(item.kind == kind for item in items)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Segue: gallery</title>
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#pieces">To the pieces</a>
<header>
<h1>Gallery</h1>
<p class="lead">What the models that come with Segue write, before and after, the baselines beside
them.</p>
<p><strong>Chosen by seed, not by taste.</strong> Pieces, regions and seeds are fixed in the code; none was
picked for what a model made of it. Every result is the first one that its seed gives; nothing was drawn again, nothing left out.
Weak results stay.</p>
{_contents(items)}
</header>
<main id="pieces">
{sections}
</main>
<footer>
<p>Played by Segue's own player with the SoundFont {escape(soundfont)}, as
<code>segue midi inpaint --sound</code> does, and packed as Opus. All music on this page was composed by
the code in <code>docs/gallery/pieces</code> and by the models named. Made by
<code>python docs/make_gallery.py</code>; times are those of the machine that made it.</p>
</footer>
</body>
</html>
"""


def _contents(items: Sequence[Item]) -> str:
    """Return links to all items."""
    parts = []
    for kind, (heading, _) in _KINDS.items():
        links = "\n".join(
            f'<a href="#{item.slug}">{escape(item.title)}</a>'
            for item in items
            if item.kind == kind
        )
        if links:
            parts.append(f"<p><strong>{escape(heading)}</strong>\n{links}</p>")
    return '<nav aria-label="Contents">\n' + "\n".join(parts) + "\n</nav>"


def _section(kind: str, items: Sequence[Item]) -> str:
    """Return all items of a kind by category."""
    heading, about = _KINDS[kind]
    parts = [f'<section aria-labelledby="{kind}">\n<h2 id="{kind}">{heading}</h2>\n<p>{about}</p>']
    order = MIDI_CATEGORIES if kind == "midi" else AUDIO_CATEGORIES
    for category in order:
        mine = [item for item in items if item.category == category]
        if mine:
            parts.append(f"<h3>{escape(category)}</h3>")
            parts += [_article(item) for item in mine]
    return "\n".join([*parts, "</section>"])


def _article(item: Item) -> str:
    """Return one piece or clip."""
    word = "Taken out and written anew" if item.kind == "midi" else "Asked for"
    figures = "\n".join(_figure(version, item) for version in item.versions)
    facts = "\n".join(
        f"<dt>{escape(name)}</dt><dd>{_value(name, value)}</dd>" for name, value in item.facts
    )
    return f"""<article id="{item.slug}" aria-labelledby="{item.slug}-title">
<h4 id="{item.slug}-title">{escape(item.title)}</h4>
<p class="soft">{escape(item.about)}</p>
<p class="asked">{word}: {escape(item.asked)}</p>
<div class="versions">
{figures}
</div>
<dl>
{facts}
</dl>
</article>"""


def _value(name: str, value: str) -> str:
    """Return a fact's value; commands in their own type."""
    return f"<code>{escape(value)}</code>" if name == "Command" else escape(value)


def _figure(version: Version, item: Item) -> str:
    """Return picture, sound and notes of a version."""
    width, height = version.size
    kind = " after" if version.key == "after" else ""
    roll = "roll" if item.kind == "midi" else "spectra"
    spoken = escape(f"{item.title}, {version.label}")
    sound = (
        f'<audio controls preload="none" src="{version.sound}" aria-label="{spoken}"></audio>\n'
        f"<span>{version.seconds:.1f} s</span>"
        if version.sound
        else "<span>Nothing sounds here.</span>"
    )
    notes = (
        f'\n<a href="{version.midi}" download aria-label="MIDI file of {spoken}">MIDI</a>'
        if version.midi
        else ""
    )
    return f"""<figure class="version{kind}">
<figcaption><strong>{escape(version.label)}</strong> <span>{escape(version.note)}</span></figcaption>
<span class="picture"><img class="{roll}" src="{version.picture}" width="{width}" height="{height}" loading="lazy" alt="{escape(version.alt)}"></span>
<div class="hear">{sound}{notes}</div>
</figure>"""
