// Draws lanes, notes and the ruler on canvases. Holds no state but what it is given.

import { above, NUM_SHADES, pitchName } from "./midi_piece.js";
import { drumName } from "./midi_drums.js";
import { shadeOfLogProb } from "./midi_likelihood.js";

const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);
const LEAST_ROWS = 14;
const LANE_PADDING = 5;
const SHADE_WEIGHTS = [0.5, 0.66, 0.82, 1];
const covered = new Int32Array(128);

/** Height of the ruler's upper part, where the time is set; bars are marked on the lower part. */
export const TIME_STRIP = 22;
/** Height of the whole ruler, in CSS pixels. */
export const RULER_HEIGHT = 46;

/**
 * Colours as the stylesheet has them just now.
 * @param {HTMLElement} node an element of the page
 */
export function readPalette(node) {
  const style = getComputedStyle(node);
  const get = (name) => style.getPropertyValue(name).trim() || "#888";
  const paper = rgb(get("--panel"));
  const tracks = Array.from({ length: 16 }, (_, i) => {
    const full = rgb(get(`--track-${i}`));
    return SHADE_WEIGHTS.map((weight) => mix(full, paper, weight));
  });
  const names = ["ink", "soft", "line", "accent", "new", "focus", "raised"];
  const palette = Object.fromEntries(names.map((name) => [name, get(`--${name}`)]));
  palette.lane = get("--panel");
  palette.beyond = get("--paper");
  const fresh = rgb(palette.new);
  palette.newShades = [0.8, 0.87, 0.94, 1].map((weight) => mix(fresh, paper, weight));
  const soft = rgb(palette.soft);
  palette.neutral = [0.3, 0.4, 0.5, 0.6].map((weight) => mix(soft, paper, weight));
  palette.font = style.fontFamily || "sans-serif";
  palette.grid = mix(rgb(palette.line), paper, 0.55);
  palette.stripe = mix(rgb(palette.line), paper, 0.16);
  return { ...palette, tracks };
}

const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function rgb(text) {
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = text;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

function mix(one, other, weight) {
  const part = one.map((value, i) => Math.round(value * weight + other[i] * (1 - weight)));
  return `rgb(${part.join(" ")})`;
}

/**
 * Which row of a lane each pitch is drawn on, counted from the top.
 * @param {boolean} isDrum
 * @param {LaneNotes[]} parts all notes that the lane may show
 */
export function rowsOf(isDrum, parts) {
  const rows = new Int16Array(128).fill(-1);
  if (isDrum) {
    const used = new Set(parts.flatMap((part) => part.shades.flatMap((shade) => shade.pitch)));
    const keys = [...used].sort((a, b) => b - a);
    keys.forEach((key, row) => (rows[key] = row));
    return { rows, count: Math.max(keys.length, 3), isDrum, top: 0, keys };
  }
  const sounding = parts.filter((part) => part.count);
  let low = Math.min(...sounding.map((part) => part.low));
  let high = Math.max(...sounding.map((part) => part.high));
  if (!sounding.length) {
    [low, high] = [60, 60];
  }
  const lack = Math.max(2, LEAST_ROWS - (high - low + 1));
  high = Math.min(127, high + Math.ceil(lack / 2));
  low = Math.max(0, low - Math.floor(lack / 2));
  for (let pitch = low; pitch <= high; pitch += 1) {
    rows[pitch] = high - pitch;
  }
  return { rows, count: high - low + 1, isDrum, top: high, keys: [] };
}

/** Place of a lane's row, in CSS pixels from the lane's top. */
export function rowPlace(layout, laneHeight) {
  const inner = laneHeight - 2 * LANE_PADDING;
  return { start: LANE_PADDING, height: inner / layout.count };
}

/** The pitch at a height of a lane, or -1. */
export function pitchAt(layout, laneHeight, y) {
  const place = rowPlace(layout, laneHeight);
  const row = Math.floor((y - place.start) / place.height);
  if (row < 0 || row >= layout.count) {
    return -1;
  }
  return layout.isDrum ? (layout.keys[row] ?? -1) : layout.top - row;
}

/**
 * Draws all lanes that are in view.
 * @param {CanvasRenderingContext2D} ctx
 * @param {object} frame piece, lanes, view, palette, ratio (device pixels per CSS pixel)
 * @returns {number} how many notes were drawn
 */
export function drawLanes(ctx, frame) {
  const { view, palette, ratio, lanes, piece } = frame;
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.fillStyle = palette.lane;
  ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height);
  if (!piece) {
    return 0;
  }
  const first = Math.max(0, Math.floor(view.top / view.laneHeight));
  const last = Math.min(lanes.length - 1, Math.floor((view.top + view.height) / view.laneHeight));
  for (let i = first; i <= last; i += 1) {
    drawStripes(ctx, frame, lanes[i], Math.round((i * view.laneHeight - view.top) * ratio));
  }
  drawGrid(ctx, frame);
  let drawn = 0;
  for (let i = first; i <= last; i += 1) {
    drawn += drawLane(ctx, frame, lanes[i], (i * view.laneHeight - view.top) * ratio);
  }
  drawBeyond(ctx, frame, (last + 1) * view.laneHeight - view.top);
  return drawn;
}

function drawStripes(ctx, { view, palette, ratio }, lane, y) {
  const place = rowPlace(lane.layout, view.laneHeight);
  if (place.height < 3) {
    return;
  }
  ctx.fillStyle = palette.stripe;
  for (let row = 0; row < lane.layout.count; row += 1) {
    const dark = lane.layout.isDrum ? row % 2 === 1 : BLACK_KEYS.has((lane.layout.top - row) % 12);
    if (dark) {
      const from = Math.round(y + (place.start + row * place.height) * ratio);
      const to = Math.round(y + (place.start + (row + 1) * place.height) * ratio);
      ctx.fillRect(0, from, ctx.canvas.width, to - from);
    }
  }
}

/** Bars between two lines that are drawn, so that lines never crowd: 1, 2, 4, 8, … */
export function barStep(frame, leastPixels) {
  const { piece, view } = frame;
  const pixels = (piece.endTicks / Math.max(1, piece.numBars)) * view.scale;
  let step = 1;
  while (step * pixels < leastPixels && step < piece.numBars) {
    step *= 2;
  }
  return step;
}

function drawGrid(ctx, frame) {
  const { view, palette, ratio, piece, lanes } = frame;
  const bottom = Math.round(Math.min(view.height, lanes.length * view.laneHeight - view.top) * ratio);
  const right = view.left + view.width / view.scale;
  const step = barStep(frame, 7);
  const line = Math.max(1, Math.round(ratio));
  const x = (tick) => Math.round((tick - view.left) * view.scale * ratio);
  const first = piece.barAt(view.left);
  for (let bar = first - (first % step); bar <= piece.numBars; bar += step) {
    const start = piece.starts[bar];
    if (start > right) {
      break;
    }
    const beat = (4 * piece.quarter) / (piece.denominators[bar] ?? 4);
    if (step === 1 && bar < piece.numBars && beat * view.scale >= 9) {
      ctx.fillStyle = palette.grid;
      for (let tick = start + beat; tick < piece.starts[bar + 1] && tick <= right; tick += beat) {
        ctx.fillRect(x(tick), 0, line, bottom);
      }
    }
    ctx.fillStyle = palette.line;
    ctx.fillRect(x(start), 0, line, bottom);
  }
  ctx.fillStyle = palette.line;
  for (let i = 1; i <= lanes.length; i += 1) {
    const y = Math.round((i * view.laneHeight - view.top) * ratio);
    if (y >= 0 && y <= ctx.canvas.height) {
      ctx.fillRect(0, y - line, ctx.canvas.width, line);
    }
  }
}

function drawBeyond(ctx, { view, palette, ratio, piece }, bottom) {
  ctx.fillStyle = palette.beyond;
  const end = Math.round((piece.endTicks - view.left) * view.scale * ratio) + 1;
  if (end < ctx.canvas.width) {
    ctx.fillRect(Math.max(0, end), 0, ctx.canvas.width - Math.max(0, end), ctx.canvas.height);
  }
  if (bottom < view.height) {
    ctx.fillRect(0, Math.round(bottom * ratio), ctx.canvas.width, ctx.canvas.height);
  }
}

function drawLane(ctx, frame, lane, y) {
  const { palette } = frame;
  ctx.globalAlpha = lane.dim ? 0.35 : 1;
  const fills = frame.logProbs ? palette.neutral : palette.tracks[lane.colour];
  let drawn = drawNotes(ctx, frame, lane, lane.notes, fills, y);
  if (lane.ghost?.count) {
    drawn += drawOutlines(ctx, frame, lane, y);
  }
  if (lane.fresh?.count) {
    drawn += drawFresh(ctx, frame, lane, y);
  }
  ctx.globalAlpha = 1;
  drawRowNames(ctx, frame, lane, y);
  return drawn;
}

/** Calls back with the box of every note of a lane that is in view; boxes that others cover are left out. */
function eachBox(frame, lane, shade, y, draw) {
  const { view, ratio } = frame;
  const scale = view.scale * ratio;
  const right = view.left + view.width / view.scale;
  const place = rowPlace(lane.layout, view.laneHeight);
  const rowHeight = place.height * ratio;
  const height = Math.max(2, Math.round(rowHeight - (rowHeight > 4 ? 1 : 0)));
  const { rows } = lane.layout;
  const { onset, end, pitch } = shade;
  const stop = above(onset, right);
  let drawn = 0;
  covered.fill(-1e6);
  for (let i = above(onset, view.left - shade.longest - 1); i < stop; i += 1) {
    if (end[i] < view.left || rows[pitch[i]] < 0) {
      continue;
    }
    const x = Math.round((onset[i] - view.left) * scale);
    const until = Math.round((end[i] - view.left) * scale);
    const width = Math.max(Math.round(ratio), until - x - (until - x > 3 ? 1 : 0));
    if (x + width <= covered[pitch[i]]) {
      continue;
    }
    covered[pitch[i]] = x + width;
    draw(x, Math.round(y + place.start * ratio + rows[pitch[i]] * rowHeight), width, height, i);
    drawn += 1;
  }
  return drawn;
}

function drawNotes(ctx, frame, lane, notes, fills, y) {
  let drawn = 0;
  const fill = (x, top, width, height) => ctx.fillRect(x, top, width, height);
  for (let shade = 0; shade < NUM_SHADES; shade += 1) {
    if (notes.shades[shade].onset.length) {
      ctx.fillStyle = fills[shade];
      drawn += eachBox(frame, lane, notes.shades[shade], y, fill);
    }
  }
  return drawn;
}

function drawOutlines(ctx, frame, lane, y) {
  ctx.strokeStyle = frame.palette.soft;
  ctx.lineWidth = Math.max(1, Math.round(frame.ratio));
  const half = ctx.lineWidth / 2;
  ctx.fillStyle = frame.palette.soft;
  ctx.globalAlpha *= 0.7;
  const outline = (x, top, width, height) => {
    if (height < 5 * ctx.lineWidth) {
      ctx.fillRect(x, top + Math.floor(height / 2), width, ctx.lineWidth);
    } else {
      ctx.strokeRect(x + half, top + half, Math.max(1, width - 2 * half), height - 2 * half);
    }
  };
  const drawn = lane.ghost.shades.reduce((sum, shade) => sum + eachBox(frame, lane, shade, y, outline), 0);
  ctx.globalAlpha = lane.dim ? 0.35 : 1;
  return drawn;
}

function drawFresh(ctx, frame, lane, y) {
  const { palette, ratio, logProbs, chosenNote } = frame;
  const edge = Math.max(1, Math.round(ratio));
  let drawn = 0;
  lane.fresh.shades.forEach((shade, strength) => {
    drawn += eachBox(frame, lane, shade, y, (x, top, width, height, i) => {
      const note = shade.index[i];
      const inset = width > 6 * edge && height > 5 * edge ? edge : 0;
      if (inset) {
        ctx.fillStyle = palette.ink;
        ctx.fillRect(x, top, width, height);
      }
      ctx.fillStyle = logProbs ? shadeOfLogProb(logProbs.get(note)) : palette.newShades[strength];
      ctx.fillRect(x + inset, top + inset, width - 2 * inset, height - 2 * inset);
      if (note === chosenNote && note >= 0) {
        ctx.strokeStyle = palette.focus;
        ctx.lineWidth = 3 * edge;
        ctx.strokeRect(x - 2 * edge, top - 2 * edge, width + 4 * edge, height + 4 * edge);
      }
    });
  });
  return drawn;
}

function drawRowNames(ctx, { view, palette, ratio }, lane, y) {
  const place = rowPlace(lane.layout, view.laneHeight);
  const named = lane.layout.isDrum ? lane.layout.keys : octaves(lane.layout);
  if (place.height * (lane.layout.isDrum ? 1 : 12) < (lane.layout.isDrum ? 11 : 17)) {
    return;
  }
  ctx.font = `${Math.round(10 * ratio)}px ${palette.font}`;
  ctx.textBaseline = "middle";
  for (const pitch of named) {
    const text = lane.layout.isDrum ? drumName(pitch) : pitchName(pitch);
    const middle = y + (place.start + (lane.layout.rows[pitch] + 0.5) * place.height) * ratio;
    ctx.globalAlpha = 0.8;
    ctx.fillStyle = palette.lane;
    ctx.fillRect(2 * ratio, middle - 6 * ratio, ctx.measureText(text).width + 4 * ratio, 12 * ratio);
    ctx.globalAlpha = 1;
    ctx.fillStyle = palette.soft;
    ctx.fillText(text, 4 * ratio, middle);
  }
}

function octaves(layout) {
  const names = [];
  for (let pitch = layout.top - layout.count + 1; pitch <= layout.top; pitch += 1) {
    if (pitch % 12 === 0) {
      names.push(pitch);
    }
  }
  return names;
}

/** Draws the marked region, or the frame of the hole that is being written. */
export function drawRegion(ctx, frame, marked) {
  const { view, ratio, palette } = frame;
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.clearRect(0, 0, ctx.canvas.width, ctx.canvas.height);
  for (const { start, end, tracks, busy } of marked) {
    const x = Math.round((start - view.left) * view.scale * ratio);
    const right = Math.round((end - view.left) * view.scale * ratio);
    const edge = Math.max(2, Math.round(2 * ratio));
    for (const [from, to] of runs(tracks)) {
      const y = Math.round((from * view.laneHeight - view.top) * ratio);
      const bottom = Math.round(((to + 1) * view.laneHeight - view.top) * ratio);
      ctx.globalAlpha = 0.13;
      ctx.fillStyle = palette.accent;
      ctx.fillRect(x, y, right - x, bottom - y);
      ctx.globalAlpha = 1;
      ctx.strokeStyle = palette.accent;
      ctx.lineWidth = edge;
      ctx.setLineDash(busy ? [6 * ratio, 4 * ratio] : []);
      ctx.strokeRect(x + edge / 2, y + edge / 2, right - x - edge, bottom - y - edge);
    }
  }
}

/** Neighbouring numbers as [first, last]. */
export function runs(numbers) {
  const found = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const open = found[found.length - 1];
    if (open && number <= open[1] + 1) {
      open[1] = number;
    } else {
      found.push([number, number]);
    }
  }
  return found;
}
