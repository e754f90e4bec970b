// The piano roll: one lane per track, a ruler above, and what is seen of them.

import { element } from "./ui.js";
import { Cursor } from "./roll_cursor.js";
import { drawLanes, drawRegion, pitchAt, readPalette, rowsOf, RULER_HEIGHT } from "./roll_draw.js";
import { changesOf, drawRuler } from "./roll_ruler.js";
import { Heads } from "./roll_heads.js";
import { listen } from "./roll_input.js";

const LEAST_LANE = 46;
const MOST_LANE = 640;
const FIRST_LANE = [64, 190];
const BAR_AT_FIRST = 44;
const MOST_QUARTER = 320;
const NUM_TIMES = 240;

/** What a screen reader is told about the roll's keys. */
const HELP =
  "Arrow keys move the marked hole, with Shift they grow or shrink it, with Control by beats. " +
  "Enter writes, Space plays, comma and full stop go through the new notes.";

export class Roll {
  /** @param {object} handlers onRegion, onSeek, onView, onHover, onChoose, onWrite, onClear, heads */
  constructor(handlers) {
    this.handlers = handlers;
    this.view = { left: 0, top: 0, scale: 0.05, laneHeight: 90, width: 0, height: 0 };
    this.scene = { piece: null, lanes: [], changes: null, logProbs: null, chosenNote: -1 };
    this.marks = [];
    this.loop = null;
    this.tool = "mark";
    this.times = [];
    this.dirty = new Set();
    this.pending = 0;
    this.fitsLanes = true;
    this.#build();
    this.heads = new Heads(this.headsNode, handlers.heads);
    this.cursor = new Cursor(this);
    listen(this);
    new ResizeObserver(() => this.resize()).observe(this.scroll);
  }

  #build() {
    this.ruler = element("canvas", { class: "roll-ruler", "aria-hidden": "true" });
    this.canvas = element("canvas", {
      class: "roll-lanes",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "piano roll",
      "aria-label": "Piano roll",
      "aria-describedby": "roll-summary roll-help",
    });
    this.top = element("canvas", { class: "roll-marks", "aria-hidden": "true" });
    this.headsNode = element("div", { class: "roll-heads", role: "group", "aria-label": "Tracks" });
    this.window = element("div", { class: "roll-window" }, this.canvas, this.top);
    this.scroll = element("div", { class: "roll-scroll" }, this.headsNode, this.window);
    this.corner = element("div", { class: "roll-corner" });
    this.summary = element("p", { id: "roll-summary", class: "visually-hidden" });
    const help = element("p", { id: "roll-help", class: "visually-hidden", text: HELP });
    this.tip = element("div", { class: "roll-tip", role: "tooltip", hidden: true });
    this.node = element("div", { class: "roll" }, this.corner, this.ruler, this.scroll, this.tip, this.summary, help);
  }

  /**
   * Shows lanes of notes.
   * @param {object} scene piece, lanes ({notes, ghost, fresh, dim}), logProbs, chosenNote
   * @param {{fit?: boolean}} [options] fit: the view starts anew, for another piece
   */
  show(scene, { fit = false } = {}) {
    this.scene = { ...scene, changes: scene.piece ? changesOf(scene.piece) : null };
    this.layOut();
    this.heads.show(scene);
    this.summary.textContent = scene.summary ?? "";
    if (fit) {
      this.#fitAnew();
    }
    this.resize();
  }

  /** Finds the rows of every lane; called again where new notes reach beyond them. */
  layOut() {
    const { piece, lanes } = this.scene;
    lanes.forEach((lane, i) => {
      const parts = [lane.notes, lane.ghost, lane.fresh, ...(lane.others ?? [])].filter(Boolean);
      lane.layout = rowsOf(piece.tracks[i].is_drum, parts);
      lane.colour = i % 16;
    });
  }

  #fitAnew() {
    const { piece, lanes } = this.scene;
    const { view } = this;
    this.fitsLanes = true;
    view.width = this.window.clientWidth || 700;
    view.height = this.scroll.clientHeight || 400;
    view.laneHeight = this.#fittingLane(lanes.length);
    const bar = piece ? piece.endTicks / piece.numBars : 1;
    view.scale = Math.max(view.width / (piece?.endTicks ?? 1), BAR_AT_FIRST / bar);
    view.left = 0;
    this.scroll.scrollTop = 0;
  }

  #fittingLane(count) {
    const room = Math.floor(this.view.height / Math.max(1, count));
    return Math.max(FIRST_LANE[0], Math.min(FIRST_LANE[1], room));
  }

  /** Fits the canvases to their place. */
  resize() {
    const { view } = this;
    this.window.style.height = `${this.scroll.clientHeight}px`;
    view.width = this.window.clientWidth;
    view.height = this.scroll.clientHeight;
    if (this.fitsLanes && this.scene.lanes.length) {
      view.laneHeight = this.#fittingLane(this.scene.lanes.length);
    }
    this.ratio = window.devicePixelRatio || 1;
    this.palette = readPalette(this.node);
    size(this.canvas, view.width, view.height, this.ratio);
    size(this.top, view.width, view.height, this.ratio);
    size(this.ruler, view.width, RULER_HEIGHT, this.ratio);
    this.heads.setHeight(view.laneHeight);
    this.#clamp();
    this.#draw(["lanes", "marks", "ruler"]);
    this.cursor.place();
    this.handlers.onView();
  }

  #clamp() {
    const { view } = this;
    const end = this.scene.piece?.endTicks ?? 1;
    const least = Math.min(view.width / end, BAR_AT_FIRST) * 0.98;
    const most = MOST_QUARTER / (this.scene.piece?.quarter ?? 480);
    view.scale = Math.min(Math.max(view.scale, least), Math.max(most, least));
    view.left = Math.max(0, Math.min(view.left, end - (view.width - 24) / view.scale));
    view.top = this.scroll.scrollTop;
  }

  /** Asks for parts to be drawn with the next frame: "lanes", "marks", "ruler". */
  redraw(...parts) {
    parts.forEach((part) => this.dirty.add(part));
    if (!this.pending) {
      this.pending = requestAnimationFrame(() => {
        this.pending = 0;
        this.#draw([...this.dirty]);
      });
    }
  }

  #draw(parts) {
    this.dirty.clear();
    const frame = { ...this.scene, view: this.view, palette: this.palette, ratio: this.ratio };
    const began = performance.now();
    if (parts.includes("lanes")) {
      this.drawn = drawLanes(this.canvas.getContext("2d", { alpha: false }), frame);
      this.times.push(performance.now() - began);
      this.times.splice(0, this.times.length - NUM_TIMES);
    }
    if (parts.includes("marks")) {
      drawRegion(this.top.getContext("2d"), frame, this.scene.piece ? this.marks : []);
    }
    if (parts.includes("ruler")) {
      drawRuler(this.ruler.getContext("2d", { alpha: false }), frame, this.marks, this.loop);
    }
  }

  /** Marks spans: [{start, end, tracks, busy}] in ticks. */
  setMarks(marks, loop) {
    this.marks = marks;
    this.loop = loop;
    this.redraw("marks", "ruler");
  }

  /** Scrolls so that `left` is the first tick in view. */
  scrollTo(left) {
    this.view.left = left;
    this.#moved();
  }

  /** Scrolls by CSS pixels. */
  scrollBy(x, y = 0) {
    this.view.left += x / this.view.scale;
    if (y) {
      this.scroll.scrollTop += y;
    }
    this.#moved();
  }

  #moved() {
    this.#clamp();
    this.redraw("lanes", "marks", "ruler");
    this.cursor.place();
    this.handlers.onView();
  }

  /** Zooms in time, holding what is at `x` CSS pixels. */
  zoom(factor, x = this.view.width / 2) {
    const { view } = this;
    const tick = view.left + x / view.scale;
    view.scale *= factor;
    this.#clamp();
    view.left = tick - x / view.scale;
    this.#moved();
  }

  /** Makes lanes taller or lower, holding what is at `y` CSS pixels. */
  zoomLanes(factor, y = this.view.height / 2) {
    const { view } = this;
    const at = (view.top + y) / view.laneHeight;
    this.fitsLanes = false;
    view.laneHeight = Math.round(Math.max(LEAST_LANE, Math.min(MOST_LANE, view.laneHeight * factor)));
    this.heads.setHeight(view.laneHeight);
    this.scroll.scrollTop = at * view.laneHeight - y;
    this.#moved();
  }

  /** Shows the whole piece. */
  fit() {
    this.view.scale = 0;
    this.view.left = 0;
    this.fitsLanes = true;
    this.resize();
  }

  /** Scrolls until ticks and lanes are in view. */
  reveal(start, end, tracks = []) {
    const { view } = this;
    const width = view.width / view.scale;
    if (start < view.left || end > view.left + width) {
      const margin = Math.max(0, (width - (end - start)) / 2);
      view.left = start - Math.min(margin, width / 3);
    }
    const [top, bottom] = [Math.min(...tracks), Math.max(...tracks) + 1].map((i) => i * view.laneHeight);
    if (tracks.length && (top < view.top || bottom > view.top + view.height)) {
      this.scroll.scrollTop = top < view.top ? top : Math.min(top, bottom - view.height);
    }
    this.#moved();
  }

  /** The tick, track and pitch at a place of the lanes, in CSS pixels; the nearest track where none is there. */
  at(x, y) {
    const { view, scene } = this;
    const lane = Math.floor((y + view.top) / view.laneHeight);
    const track = Math.max(0, Math.min(scene.lanes.length - 1, lane));
    const layout = scene.lanes[track]?.layout;
    const inside = y + view.top - track * view.laneHeight;
    return {
      tick: view.left + x / view.scale,
      track,
      pitch: layout && lane === track ? pitchAt(layout, view.laneHeight, inside) : -1,
    };
  }

  /** The note at a place: {kind: "fresh"|"notes"|"ghost", index, track}, or null. */
  noteAt(x, y) {
    const { tick, track, pitch } = this.at(x, y);
    const lane = this.scene.lanes[track];
    if (!lane || pitch < 0) {
      return null;
    }
    const slack = 2 / this.view.scale;
    for (const kind of ["fresh", "notes", "ghost"]) {
      const index = lane[kind]?.at(tick, pitch, slack) ?? -1;
      if (index >= 0) {
        return { kind, index, track };
      }
    }
    return null;
  }

  /** Shows a small text at a place of the roll; without text it goes. */
  showTip(text, x = 0, y = 0) {
    this.tip.hidden = !text;
    if (text) {
      this.tip.textContent = text;
      const left = this.window.offsetLeft + Math.max(0, Math.min(x + 12, this.view.width - this.tip.offsetWidth - 4));
      const top = RULER_HEIGHT + Math.max(0, y - this.tip.offsetHeight - 8);
      this.tip.style.transform = `translate(${left}px, ${top}px)`;
    }
  }
}

function size(canvas, width, height, ratio) {
  const [across, down] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
}
