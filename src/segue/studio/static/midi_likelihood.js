// How likely each new note was under the model: colours, legend and words.

import { element } from "./ui.js";
import { drumName } from "./midi_drums.js";
import { pitchName } from "./midi_piece.js";

// From likely to unlikely: blue to yellow, lighter with every step, told apart by colour-blind eyes too.
const STEPS = [
  { least: -1.5, colour: "#3355b5", text: "> −1.5" },
  { least: -2.5, colour: "#3f8ac4", text: "to −2.5" },
  { least: -4, colour: "#6fae9b", text: "to −4" },
  { least: -6, colour: "#c9c35a", text: "to −6" },
  { least: -Infinity, colour: "#ffe94a", text: "lower" },
];
const UNKNOWN = "#9a9a9a";

/** @param {number|null|undefined} logProb in nats @returns {string} a colour */
export function shadeOfLogProb(logProb) {
  if (typeof logProb !== "number") {
    return UNKNOWN;
  }
  return STEPS.find((step) => logProb >= step.least).colour;
}

/** @param {number} logProb in nats @returns {string} such as "−2.3 nats" */
export function logProbText(logProb) {
  return typeof logProb === "number" ? `${minus(logProb.toFixed(2))} nats` : "not known";
}

/** A number's text with a real minus sign. */
export function minus(text) {
  return String(text).replace("-", "−");
}

/** The legend: what the colours mean. */
export function legend() {
  const items = STEPS.map(({ colour, text }) => {
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    return element("li", null, swatch, element("span", { text }));
  });
  return element(
    "div",
    { class: "likelihood-legend" },
    element("p", { class: "hint", text: "Log-probability of each new note, in nats:" }),
    element("ul", null, items),
  );
}

/**
 * A note in words.
 * @param {Piece} piece
 * @param {number} index of the note
 * @param {"fresh"|"notes"|"ghost"} kind
 * @returns {string} such as "E5, Violin I, bar 9 beat 2.5, velocity 80, −2.31 nats"
 */
export function noteText(piece, index, kind) {
  const { track, pitch, onset, velocity } = piece.note(index);
  const { bar, beat } = piece.placeOf(onset);
  const name = piece.tracks[track]?.is_drum ? drumName(pitch) : pitchName(pitch);
  const parts = [name, piece.nameOf(track), `bar ${bar} beat ${beat}`, `velocity ${velocity}`];
  if (kind === "ghost") {
    parts.push("replaced");
  } else if (piece.logProbs.has(index)) {
    parts.push(logProbText(piece.logProbs.get(index)));
  }
  return parts.join(", ");
}
