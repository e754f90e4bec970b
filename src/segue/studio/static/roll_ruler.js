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
  drawChanges(ctx, frame, width);
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
  for (let bar = first - (first % lined); bar < piece.numBars; bar += lined) {
    const x = (piece.starts[bar] - view.left) * view.scale;
    if (x > width) {
      break;
    }
    const isNamed = bar % named === 0;
    ctx.fillStyle = palette.line;
    ctx.fillRect(Math.round(x), isNamed ? TIME_STRIP : RULER_HEIGHT - 7, 1, RULER_HEIGHT);
    if (isNamed) {
      ctx.fillStyle = palette.ink;
      ctx.fillText(String(bar + 1), x + 4, (TIME_STRIP + RULER_HEIGHT) / 2 + 1);
    }
  }
}

/** Changes of tempo and meter in order of time: [{tick, text}]. */
export function changesOf(piece) {
  const changes = new Map();
  const say = (tick, text) => changes.set(tick, [...(changes.get(tick) ?? []), text]);
  for (let bar = 0; bar < piece.numBars; bar += 1) {
    const same =
      bar > 0 &&
      piece.numerators[bar] === piece.numerators[bar - 1] &&
      piece.denominators[bar] === piece.denominators[bar - 1];
    if (!same) {
      say(piece.starts[bar], `${piece.numerators[bar]}/${piece.denominators[bar]}`);
    }
  }
  piece.tempos.ticks.forEach((tick, i) => {
    const bpm = Math.round(piece.tempos.bpm[i] * 10) / 10;
    say(tick, `${NOTE_UNIT} = ${bpm}`);
  });
  return [...changes.entries()]
    .sort((a, b) => a[0] - b[0])
    .map(([tick, texts]) => ({ tick, text: texts.join("  ") }));
}

function drawChanges(ctx, frame, width) {
  const { view, palette, piece, changes } = frame;
  const x = (tick) => (tick - view.left) * view.scale;
  const ticks = changes.map((change) => change.tick);
  const first = Math.max(0, above(ticks, view.left) - 1);
  let free = -1;
  for (let i = first; i < changes.length; i += 1) {
    const held = i === first && x(ticks[i]) < 4;
    const place = held ? 4 : x(ticks[i]) + 4;
    if (place > width) {
      break;
    }
    const next = i + 1 < changes.length ? x(ticks[i + 1]) - 6 : width;
    const room = ctx.measureText(changes[i].text).width;
    ctx.fillStyle = palette.soft;
    if (!held && x(ticks[i]) >= 0 && ticks[i] < piece.endTicks) {
      ctx.fillRect(Math.round(x(ticks[i])), TIME_STRIP - 6, 1, 6);
    }
    if (place >= free && (!held || place + room < next)) {
      ctx.fillText(changes[i].text, place, TIME_STRIP / 2);
      free = place + room + 10;
    }
  }
}
