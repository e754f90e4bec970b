// The panel beside the roll: what is to be written, and the one button that does it.

import { button, element, field, setPressed } from "./ui.js";
import * as regions from "./midi_region.js";

const MODES = [
  { name: "inpaint", label: "Fill", title: "Write into the marked hole" },
  { name: "after", label: "Continue", title: "Go on after the end" },
  { name: "before", label: "Lead in", title: "Write bars in front of the beginning" },
];

export class Panel {
  /**
   * @param {{onRegion: (region: object) => void, onWrite: () => void}} handlers
   * @param {Settings} settings
   */
  constructor(handlers, settings) {
    this.handlers = handlers;
    this.piece = null;
    this.region = null;
    this.mode = "inpaint";
    this.bars = 8;
    this.tracks = new Set();
    this.busy = false;
    this.#build(settings);
  }

  #build(settings) {
    this.modes = MODES.map(({ name, label, title }) => {
      const node = button({ label, title, pressed: name === this.mode, onClick: () => this.setMode(name) });
      node.dataset.mode = name;
      return node;
    });
    const unit = (value) => this.#change(value);
    this.unit = field({
      label: "Counted in",
      options: [{ value: "bars", label: "bars" }, { value: "beats", label: "beats" }],
      onChange: unit,
    });
    const span = () => this.#span();
    this.from = field({ label: "From bar", type: "number", min: 1, step: 1, onChange: span });
    this.to = field({ label: "To bar", type: "number", min: 1, step: 1, onChange: span });
    this.hole = element("div", { class: "span-fields" }, this.from, this.to, this.unit);
    this.count = field({ label: "Bars to write", type: "number", min: 1, max: 64, step: 1, value: this.bars });
    this.count.input.addEventListener("input", () => {
      this.bars = Number(this.count.input.value) || 1;
      this.show();
    });
    this.list = element("div", { class: "track-list" });
    const all = button({ label: "All", kind: "quiet", title: "Mark all tracks", onClick: () => this.#pick(() => true) });
    const none = button({ label: "None", kind: "quiet", title: "Mark no track", onClick: () => this.#pick(() => false) });
    this.trackBox = element(
      "div",
      { class: "tracks", role: "group", "aria-label": "Tracks" },
      element("div", { class: "tracks-line" }, element("span", { class: "label", text: "Tracks" }), element("span", null, all, none)),
      this.list,
    );
    this.write = button({ label: "Write", icon: "generate", kind: "primary", onClick: () => this.handlers.onWrite() });
    this.write.classList.add("write");
    this.said = element("p", { class: "write-said" });
    this.node = element(
      "section",
      { class: "side-part hole", "aria-label": "What to write" },
      element("div", { class: "group modes", role: "group", "aria-label": "What to write" }, this.modes),
      this.hole,
      this.count,
      this.trackBox,
      element("div", { class: "write-row" }, this.write, this.said),
      settings.node,
    );
  }

  /** Fill the hole, continue, or lead in. */
  setMode(name) {
    this.mode = name;
    this.modes.forEach((node) => setPressed(node, node.dataset.mode === name));
    this.show();
  }

  /** Shows another piece. */
  setPiece(piece) {
    const before = this.piece;
    this.piece = piece;
    const names = (of) => JSON.stringify(of?.tracks.map((_, i) => of.nameOf(i)) ?? []);
    if (names(before) !== names(piece)) {
      this.tracks = new Set(playing(piece));
      this.checks = (piece?.tracks ?? []).map((_, i) => this.#check(i));
      this.list.replaceChildren(...this.checks.map((check) => check.node));
    }
    this.show();
  }

  #check(i) {
    const box = element("input", { type: "checkbox", on: { change: () => this.#pick((track) => (track === i ? box.checked : this.#marked(track))) } });
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = `var(--track-${i % 16})`;
    const name = this.piece.nameOf(i);
    return { box, node: element("label", { class: "track-check", title: name }, box, swatch, element("span", { class: "ellipsis", text: name })) };
  }

  #marked(track) {
    return this.mode === "inpaint" ? Boolean(this.region?.tracks.includes(track)) : this.tracks.has(track);
  }

  #pick(wanted) {
    if (!this.piece) {
      return;
    }
    const tracks = this.piece.tracks.map((_, i) => i).filter((i) => wanted(i));
    if (this.mode !== "inpaint") {
      this.tracks = new Set(tracks);
      this.show();
    } else if (tracks.length) {
      const span = this.region ?? this.#numbers() ?? { unit: "bars", first: 0, last: 0 };
      this.handlers.onRegion({ ...span, tracks });
    } else {
      this.handlers.onRegion(null);
    }
  }

  #numbers() {
    const [first, last] = [this.from, this.to].map((one) => Number.parseInt(one.input.value, 10) - 1);
    return Number.isInteger(first) && Number.isInteger(last) ? { unit: this.unit.input.value, first, last } : null;
  }

  #span() {
    const span = this.#numbers();
    if (!this.piece || !span) {
      return;
    }
    const tracks = this.region?.tracks ?? playing(this.piece);
    const [first, last] = span.first <= span.last ? [span.first, span.last] : [span.last, span.first];
    this.handlers.onRegion({ unit: span.unit, first, last, tracks });
    this.show();
  }

  #change(unit) {
    if (this.region) {
      this.handlers.onRegion(regions.inUnit(this.piece, this.region, unit));
    }
    this.show();
  }

  /** Mirrors the region that is marked on the roll. */
  setRegion(region) {
    this.region = region;
    this.show();
  }

  /** Whether a request is under way. */
  setBusy(busy) {
    this.busy = busy;
    this.show();
  }

  /** Shows what there is. */
  show() {
    const { piece, region } = this;
    const fills = this.mode === "inpaint";
    this.hole.hidden = !fills;
    this.count.hidden = fills;
    const unit = region?.unit ?? this.unit.input.value;
    this.unit.input.value = unit;
    for (const [one, word, at] of [[this.from, "From", region?.first], [this.to, "To", region?.last]]) {
      one.querySelector("label").textContent = `${word} ${unit === "bars" ? "bar" : "beat"}`;
      one.input.max = piece ? regions.countOf(piece, unit) : "";
      one.input.value = at === undefined ? "" : at + 1;
    }
    this.checks?.forEach(({ box }, i) => (box.checked = this.#marked(i)));
    this.write.disabled = this.busy || !piece || (fills ? !region : this.tracks.size === 0);
    this.said.textContent = this.#words(fills);
  }

  #words(fills) {
    const { piece, region } = this;
    if (!piece) {
      return "Open a piece first.";
    }
    if (!piece.tracks.length) {
      return "This piece has no tracks to write on.";
    }
    if (fills) {
      return region ? regions.regionText(piece, region) : "Drag across bars and lanes to mark what is to be written.";
    }
    if (!this.tracks.size) {
      return "Choose at least one track.";
    }
    const bars = this.bars === 1 ? "1 bar" : `${this.bars} bars`;
    return `${bars} ${this.mode === "after" ? "after the end" : "before the beginning"}, ${regions.tracksText(piece, [...this.tracks])}`;
  }

  /** The request that the fields make: {kind, body, label}. */
  request() {
    const { piece, region } = this;
    if (this.mode === "inpaint") {
      return { kind: "inpaint", body: { piece: piece.id, ...regions.asked(region) }, label: regions.regionText(piece, region) };
    }
    const tracks = [...this.tracks].sort((a, b) => a - b);
    const body = { piece: piece.id, bars: this.bars, before: this.mode === "before", tracks };
    return { kind: "outpaint", body, label: this.#words(false) };
  }
}

function playing(piece) {
  const all = (piece?.tracks ?? []).map((track) => track.index);
  const sounding = all.filter((i) => piece.tracks[i].num_notes > 0);
  return sounding.length ? sounding : all;
}
