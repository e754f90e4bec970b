// Draws the ruler over the lanes: tempo and meter above, bar numbers below.

import { above } from "./midi_piece.js";
import { barStep, RULER_HEIGHT, TIME_STRIP } from "./roll_draw.js";

const NOTE_UNIT = "♩";

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {object} frame as for the lanes
 * @param {Array<{start: number, end: number}>} marked spans in ticks
 * @param {{start: number, end: number}|null} loop
 */
export function drawRuler(ctx, frame, marked, loop) {
  const { palette, ratio, piece } = frame;
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  const width = ctx.canvas.width / ratio;
  ctx.fillStyle = palette.raised;
  ctx.fillRect(0, 0, width, RULER_HEIGHT);
  if (!piece) {
    return;
  }
  ctx.font = `11px ${palette.font}`;
  ctx.textBaseline = "middle";
  drawSpans(ctx, frame, marked, loop);
  drawBars(ctx, frame, width);
  drawTempos(ctx, frame, width);
  ctx.fillStyle = palette.line;
  ctx.fillRect(0, TIME_STRIP, width, 1);
  ctx.fillRect(0, RULER_HEIGHT - 1, width, 1);
}

function drawSpans(ctx, { view, palette }, marked, loop) {
  const x = (tick) => (tick - view.left) * view.scale;
  ctx.fillStyle = palette.accent;
  for (const { start, end } of marked) {
    ctx.globalAlpha = 0.22;
    ctx.fillRect(x(start), TIME_STRIP + 1, x(end) - x(start), RULER_HEIGHT - TIME_STRIP - 2);
  }
  ctx.globalAlpha = 1;
  if (loop) {
    ctx.fillRect(x(loop.start), TIME_STRIP - 4, x(loop.end) - x(loop.start), 4);
  }
}

function drawBars(ctx, frame, width) {
  const { view, palette, piece } = frame;
  const named = barStep(frame, 34);
  const lined = barStep(frame, 7);
  const first = piece.barAt(view.left);
  const taken = drawMeters(ctx, frame, width);
  const middle = (TIME_STRIP + RULER_HEIGHT) / 2 + 1;
  for (let bar = first - (first % lined); bar < piece.numBars; bar += lined) {
    const x = (piece.starts[bar] - view.left) * view.scale;
    if (x > width) {
      break;
    }
    const text = String(bar + 1);
    const room = ctx.measureText(text).width + 8;
    const isNamed = bar % named === 0 && !taken.some(([from, to]) => x < to && x + room > from);
    ctx.fillStyle = palette.line;
    ctx.fillRect(Math.round(x), isNamed ? TIME_STRIP : RULER_HEIGHT - 7, 1, RULER_HEIGHT);
    if (isNamed) {
      ctx.fillStyle = palette.ink;
      ctx.fillText(text, x + 4, middle);
    }
  }
}

/** Draws changes of meter beside the number of their bar; returns the places that they take. */
function drawMeters(ctx, frame, width) {
  const { view, palette, piece, changes } = frame;
  const taken = [];
  const middle = (TIME_STRIP + RULER_HEIGHT) / 2 + 1;
  for (const { bar, text } of changes.meters) {
    const x = (piece.starts[bar] - view.left) * view.scale;
    const number = `${bar + 1} `;
    const before = ctx.measureText(number).width + 7;
    const room = before + ctx.measureText(text).width + 5;
    const free = taken.at(-1)?.[1] ?? -Infinity;
    if (x > width) {
      break;
    }
    if (x + room > 0 && x >= free) {
      ctx.fillStyle = palette.line;
      ctx.fillRect(Math.round(x), TIME_STRIP, 1, RULER_HEIGHT);
      ctx.fillStyle = palette.ink;
      ctx.fillText(number, x + 4, middle);
      ctx.fillStyle = palette.accent;
      ctx.fillText(text, x + before, middle);
      taken.push([x, x + room]);
    }
  }
  return taken;
}

/**
 * Changes of meter and tempo in order of time.
 * @param {Piece} piece
 * @returns {{meters: Array<{bar: number, text: string}>, tempos: Array<{tick: number, bpm: string}>}}
 */
export function changesOf(piece) {
  const meters = [];
  for (let bar = 0; bar < piece.numBars; bar += 1) {
    const text = `${piece.numerators[bar]}/${piece.denominators[bar]}`;
    if (meters.at(-1)?.text !== text) {
      meters.push({ bar, text });
    }
  }
  const rounded = piece.tempos.bpm.map((bpm) => String(Math.round(bpm * 10) / 10));
  const tempos = piece.tempos.ticks
    .map((tick, i) => ({ tick, bpm: rounded[i] }))
    .filter(({ tick, bpm }, i) => tick < piece.endTicks && bpm !== rounded[i - 1]);
  return { meters, tempos };
}

/** Draws the tempos; where they are close, the number alone, or only the mark. */
function drawTempos(ctx, frame, width) {
  const { view, palette, changes } = frame;
  const x = (tick) => (tick - view.left) * view.scale;
  const ticks = changes.tempos.map((change) => change.tick);
  const first = Math.max(0, above(ticks, view.left) - 1);
  let free = -Infinity;
  ctx.fillStyle = palette.soft;
  for (let i = first; i < ticks.length && x(ticks[i]) <= width; i += 1) {
    const place = Math.max(10, x(ticks[i]) + 4);
    const next = i + 1 < ticks.length ? x(ticks[i + 1]) : Infinity;
    if (x(ticks[i]) >= 1) {
      ctx.fillRect(Math.round(x(ticks[i])), TIME_STRIP - 6, 1, 6);
    }
    const { bpm } = changes.tempos[i];
    const ways = [`${NOTE_UNIT} = ${bpm}`, bpm, String(Math.round(Number(bpm)))];
    const text = ways.find((one) => place + ctx.measureText(one).width + 3 < next);
    if (text && place >= free) {
      ctx.fillText(text, place, TIME_STRIP / 2);
      free = place + ctx.measureText(text).width + 6;
    }
  }
}
