// What the roll shows: a piece alone, notes being written, or a candidate against the original.

import { LaneNotes } from "./midi_piece.js";

/**
 * @param {object} what piece (open), run (or null), side ("candidate" or "original"), likelihood (boolean),
 *   isSilent (track → boolean), chosenNote
 * @returns {object} scene for the roll; `shown` is the piece that downloads and playback mean
 */
export function sceneOf({ piece, run, side, likelihood, isSilent, chosenNote }) {
  const parts = run?.canvas ? ofRun(run, side) : alone(piece, likelihood);
  const base = parts.base;
  const lanes = (base?.tracks ?? []).map((_, i) => ({
    notes: parts.notes[i] ?? new LaneNotes(),
    ghost: parts.ghost?.[i] ?? null,
    fresh: parts.fresh?.[i] ?? null,
    others: [parts.hidden?.[i]].filter(Boolean),
    dim: isSilent(i),
  }));
  const logProbs = likelihood && parts.shown?.logProbs.size ? parts.shown.logProbs : null;
  return { piece: base, shown: parts.shown, lanes, logProbs, chosenNote, fresh: parts.fresh };
}

function alone(piece, likelihood) {
  if (!piece) {
    return { base: null, shown: null, notes: [] };
  }
  if (likelihood && piece.logProbs.size) {
    const isNew = (index) => piece.logProbs.has(index);
    return { base: piece, shown: piece, notes: piece.lanes((i) => !isNew(i)), fresh: piece.lanes(isNew) };
  }
  return { base: piece, shown: piece, notes: piece.lanes() };
}

function ofRun(run, side) {
  const { canvas, ticks } = run;
  const tracks = new Set(ticks.tracks);
  const inside = (_, track, onset) => tracks.has(track) && onset >= ticks.start_ticks && onset < ticks.end_ticks;
  const outside = (...note) => !inside(...note);
  const candidate = run.candidatePiece();
  const isNew = candidate?.logProbs.size ? (index) => candidate.logProbs.has(index) : inside;
  const fresh = candidate ? candidate.lanes(isNew) : written(canvas, run.live.get(run.chosen) ?? []);
  if (side === "original") {
    return { base: canvas, shown: canvas, notes: canvas.lanes(), hidden: fresh };
  }
  const notes = candidate ? candidate.lanes((...note) => !isNew(...note)) : canvas.lanes(outside);
  return { base: candidate ?? canvas, shown: candidate ?? canvas, notes, ghost: canvas.lanes(inside), fresh };
}

function written(canvas, rows) {
  const lanes = canvas.tracks.map(() => new LaneNotes());
  for (const [track, pitch, onset, duration, velocity] of rows) {
    lanes[track]?.add(pitch, onset, duration, velocity, -1);
  }
  return lanes;
}

/** All new notes of a scene in order: indices into the notes of the piece that is shown. */
export function freshNotes(scene) {
  const found = (scene.fresh ?? []).flatMap((lane) => lane.shades.flatMap((shade) => shade.index));
  return found.filter((index) => index >= 0).sort((a, b) => a - b);
}
