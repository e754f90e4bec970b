// Mouse, touch, wheel and keys on the roll. Tells the roll's handlers; keeps no music.

import { TIME_STRIP } from "./roll_draw.js";

const DRAG_PIXELS = 4;
const ZOOM_STEP = 1.25;
const EDGE_PIXELS = 24;

/**
 * Listens to a roll's canvases, for as long as the roll lives.
 * @param {Roll} roll
 */
export function listen(roll) {
  const on = (node, name, handler, options = {}) => node.addEventListener(name, handler, options);
  const hand = new Hand(roll);
  for (const canvas of [roll.canvas, roll.ruler]) {
    on(canvas, "pointerdown", (event) => hand.down(event));
    on(canvas, "pointermove", (event) => hand.move(event));
    on(canvas, "pointerup", (event) => hand.up(event));
    on(canvas, "pointercancel", (event) => hand.up(event, true));
    on(canvas, "pointerleave", () => roll.handlers.onHover(null));
    on(canvas, "wheel", (event) => wheel(roll, event), { passive: false });
    on(canvas, "contextmenu", (event) => hand.touches.size && event.preventDefault());
  }
  on(roll.canvas, "keydown", (event) => key(roll, event));
  on(roll.scroll, "scroll", () => roll.scrollBy(0));
}

/** What the pointers are doing: mark, set the time, move the view, or pinch it. */
class Hand {
  constructor(roll) {
    this.roll = roll;
    this.touches = new Map();
    this.drag = null;
  }

  #place(event) {
    const box = this.roll.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  down(event) {
    const { roll } = this;
    if (!roll.scene.piece || event.button > 1) {
      return;
    }
    const place = this.#place(event);
    event.currentTarget.setPointerCapture(event.pointerId);
    this.touches.set(event.pointerId, place);
    if (this.touches.size === 2) {
      this.drag = { kind: "pinch", ...this.#spread() };
      return;
    }
    const onRuler = event.currentTarget === roll.ruler;
    const upper = onRuler && event.clientY - roll.ruler.getBoundingClientRect().top < TIME_STRIP;
    const moving = event.button === 1 || (!onRuler && roll.tool === "move");
    const kind = upper ? "time" : moving ? "move" : "mark";
    this.drag = { kind, onRuler, from: place, last: place, far: false, id: event.pointerId, shift: event.shiftKey };
    if (!onRuler) {
      roll.canvas.focus({ preventScroll: true });
    }
    if (kind === "time") {
      roll.handlers.onSeek(roll.at(place.x, 0).tick, { final: false });
    }
    event.preventDefault();
  }

  move(event) {
    const { roll, drag } = this;
    const place = this.#place(event);
    if (this.touches.has(event.pointerId)) {
      this.touches.set(event.pointerId, place);
    }
    if (!drag) {
      if (event.currentTarget === roll.canvas && event.pointerType !== "touch") {
        roll.handlers.onHover(roll.noteAt(place.x, place.y), place);
      }
      return;
    }
    if (drag.kind === "pinch") {
      this.#pinch();
      return;
    }
    drag.far ||= Math.hypot(place.x - drag.from.x, place.y - drag.from.y) > DRAG_PIXELS;
    if (drag.kind === "time") {
      roll.handlers.onSeek(roll.at(place.x, 0).tick, { final: false });
    } else if (drag.kind === "move") {
      roll.scrollBy(drag.last.x - place.x, drag.last.y - place.y);
    } else if (drag.far) {
      this.#scrollAtEdge(place);
      this.#mark(place, event, false);
    }
    drag.last = place;
  }

  #scrollAtEdge({ x, y }) {
    const { view } = this.roll;
    const across = x < EDGE_PIXELS ? x - EDGE_PIXELS : Math.max(0, x - (view.width - EDGE_PIXELS));
    const down = y < 0 ? y : Math.max(0, y - view.height);
    if (this.drag.onRuler ? across : across || down) {
      const before = this.drag.from;
      const [left, top] = [view.left, view.top];
      this.roll.scrollBy(across / 2, this.drag.onRuler ? 0 : down / 2);
      before.x -= (view.left - left) * view.scale;
      before.y -= view.top - top;
    }
  }

  #mark(place, event, final) {
    const { roll, drag } = this;
    const most = roll.scene.lanes.length - 1;
    const [from, to] = [drag.from, place].map(({ x, y }) => roll.at(x, y));
    if (drag.onRuler) {
      from.track = 0;
      to.track = most;
    }
    const beats = event.ctrlKey || event.metaKey || event.altKey;
    roll.handlers.onRegion(from, to, { unit: beats ? "beats" : "bars", extend: drag.shift, final });
  }

  up(event, cancelled = false) {
    const { roll, drag } = this;
    this.touches.delete(event.pointerId);
    if (!drag || drag.id !== event.pointerId) {
      if (drag?.kind === "pinch") {
        this.drag = null;
      }
      return;
    }
    this.drag = null;
    const place = this.#place(event);
    if (cancelled) {
      return;
    }
    if (drag.kind === "time") {
      roll.handlers.onSeek(roll.at(place.x, 0).tick, { final: true });
    } else if (drag.kind === "mark") {
      const note = drag.far || drag.onRuler ? null : roll.noteAt(place.x, place.y);
      if (note?.kind === "fresh" && !drag.shift) {
        roll.handlers.onChoose(note.index);
        return;
      }
      this.drag = drag;
      this.#mark(place, event, true);
      this.drag = null;
    }
  }

  #spread() {
    const [one, two] = [...this.touches.values()];
    return {
      x: (one.x + two.x) / 2,
      y: (one.y + two.y) / 2,
      across: Math.abs(one.x - two.x),
      down: Math.abs(one.y - two.y),
    };
  }

  #pinch() {
    const { roll, drag } = this;
    if (this.touches.size < 2) {
      return;
    }
    const now = this.#spread();
    roll.scrollBy(drag.x - now.x, drag.y - now.y);
    if (drag.across > 40 && now.across > 40) {
      roll.zoom(now.across / drag.across, now.x);
    }
    if (drag.down > 60 && now.down > 60) {
      roll.zoomLanes(now.down / drag.down, now.y);
    }
    Object.assign(drag, now);
  }
}

function wheel(roll, event) {
  const unit = event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? roll.view.height : 1;
  const [x, y] = [event.deltaX * unit, event.deltaY * unit];
  const box = roll.canvas.getBoundingClientRect();
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    const factor = Math.exp(-Math.max(-200, Math.min(200, y || x)) * 0.0025);
    if (event.shiftKey || event.altKey) {
      roll.zoomLanes(factor, event.clientY - box.top);
    } else {
      roll.zoom(factor, event.clientX - box.left);
    }
    return;
  }
  const fits = roll.scroll.scrollHeight <= roll.scroll.clientHeight + 1;
  if (event.shiftKey || fits || event.currentTarget === roll.ruler || Math.abs(x) > Math.abs(y)) {
    event.preventDefault();
    roll.scrollBy(Math.abs(x) > Math.abs(y) ? x : y);
  }
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(roll, event) {
  const { handlers, view } = roll;
  const control = event.ctrlKey || event.metaKey;
  const acts = {
    Home: () => handlers.onStep({ to: "start" }),
    End: () => handlers.onStep({ to: "end" }),
    PageUp: () => roll.scrollBy(-0.8 * view.width),
    PageDown: () => roll.scrollBy(0.8 * view.width),
    Enter: () => handlers.onWrite(),
    Escape: () => handlers.onClear(),
    "+": () => roll.zoom(ZOOM_STEP),
    "=": () => roll.zoom(ZOOM_STEP),
    "-": () => roll.zoom(1 / ZOOM_STEP),
    0: () => roll.fit(),
    "]": () => roll.zoomLanes(ZOOM_STEP),
    "[": () => roll.zoomLanes(1 / ZOOM_STEP),
    ",": () => handlers.onChoose(null, -1),
    ".": () => handlers.onChoose(null, 1),
    a: () => handlers.onStep({ to: control ? "all" : "tracks" }),
  };
  const arrow = ARROWS[event.key];
  if (event.altKey || !roll.scene.piece) {
    return;
  }
  if (arrow) {
    event.preventDefault();
    handlers.onStep({ by: arrow[0], tracks: arrow[1], grow: event.shiftKey, beats: control });
  } else if (acts[event.key] && (!control || event.key === "a")) {
    event.preventDefault();
    acts[event.key]();
  }
}
