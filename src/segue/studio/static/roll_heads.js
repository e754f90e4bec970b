// The heads of the lanes: name, instrument, number of notes, mute and solo.

import { element, setPressed } from "./ui.js";

export class Heads {
  /**
   * @param {HTMLElement} node
   * @param {{onSelect: (track: number, extend: boolean) => void, onMute: (track: number) => void,
   *   onSolo: (track: number) => void}} handlers
   */
  constructor(node, handlers) {
    this.node = node;
    this.handlers = handlers;
    this.rows = [];
    this.shown = "";
  }

  /** Shows one head per track of a scene. */
  show({ piece, lanes }) {
    const names = JSON.stringify(piece?.tracks.map(({ name, instrument }) => [name, instrument]) ?? []);
    if (names !== this.shown) {
      this.shown = names;
      this.rows = (piece?.tracks ?? []).map((_, i) => this.#row(piece, i));
      this.node.replaceChildren(...this.rows.map((row) => row.node));
    }
    lanes.forEach((lane, i) => {
      const count = lane.notes.count + (lane.fresh?.count ?? 0);
      const notes = count === 1 ? "1 note" : `${count.toLocaleString("en")} notes`;
      this.rows[i].count.textContent = notes;
      this.rows[i].select.setAttribute("aria-label", [...this.rows[i].names, notes].join(", "));
      this.rows[i].node.classList.toggle("dim", lane.dim);
    });
  }

  #row(piece, i) {
    const track = piece.tracks[i];
    const name = piece.nameOf(i);
    const count = element("span", { class: "head-count" });
    const also = track.instrument && track.instrument !== name ? track.instrument : "";
    const select = element(
      "button",
      {
        type: "button",
        class: "head-name",
        title: `${name}${also ? ` (${also})` : ""}: mark this track`,
        "aria-pressed": "false",
        on: { click: (event) => this.handlers.onSelect(i, event.shiftKey || event.ctrlKey || event.metaKey) },
      },
      element("span", { class: "head-title", text: name }),
      also ? element("span", { class: "head-more", text: also }) : null,
      count,
    );
    const mute = toggle("M", `Mute ${name}`, () => this.handlers.onMute(i));
    const solo = toggle("S", `Solo ${name}`, () => this.handlers.onSolo(i));
    const node = element(
      "div",
      { class: "head", role: "group", "aria-label": name, dataset: { track: i } },
      select,
      element("span", { class: "head-buttons" }, mute, solo),
    );
    node.style.setProperty("--own", `var(--track-${i % 16})`);
    return { node, select, mute, solo, count, names: [name, also].filter(Boolean) };
  }

  /** Shows which tracks are marked, muted and soloed. */
  mark(tracks, muted, soloed) {
    this.rows.forEach((row, i) => {
      row.node.classList.toggle("marked", tracks.includes(i));
      setPressed(row.select, tracks.includes(i));
      setPressed(row.mute, muted.has(i));
      setPressed(row.solo, soloed.has(i));
    });
  }

  /** @param {number} height of a lane in CSS pixels */
  setHeight(height) {
    this.node.style.setProperty("--lane-height", `${height}px`);
    this.node.classList.toggle("low", height < 60);
  }
}

function toggle(label, title, onClick) {
  return element("button", {
    type: "button",
    class: "head-toggle",
    title,
    "aria-label": title,
    "aria-pressed": "false",
    text: label,
    on: { click: onClick },
  });
}
