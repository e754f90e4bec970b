// Draws waveform, spectrogram and ruler. Times are in seconds, places in pixels of the style sheet.

/** Heights of the parts, in pixels. */
export const RULER = 24;
const GAP = 6;
const WAVE_SHARE = 0.38;
const IMAGE_ROWS = 256;
const RANGE_DB = 75;
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const FREQUENCIES = [125, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000];

// From silence to the loudest: lightness grows (or falls) evenly.
const MAPS = {
  dark: [[20, 23, 26], [16, 48, 62], [10, 92, 108], [58, 148, 130], [170, 190, 96], [250, 226, 140], [255, 250, 232]],
  light: [[255, 255, 255], [214, 232, 232], [142, 199, 203], [66, 152, 166], [18, 102, 124], [24, 58, 84], [30, 20, 44]],
};

/** Where the parts of a drawing of a given height are. */
export function layout(height) {
  const rest = height - RULER - GAP;
  const wave = Math.round(rest * WAVE_SHARE);
  return { wave: { top: RULER, height: wave }, spectrum: { top: RULER + wave + GAP, height: rest - wave } };
}

/** Reads the server's overview: numbers as typed arrays. */
export function readOverview(answer) {
  const text = atob(answer.spectrum);
  const spectrum = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    spectrum[i] = text.charCodeAt(i);
  }
  return { ...answer, spectrum, image: null, scheme: null };
}

/** The loudest value of a spectrum, from 0 to 255. */
export function loudest(overview) {
  return overview.spectrum.reduce((most, value) => Math.max(most, value), 0);
}

function mel(hz) {
  return 2595 * Math.log10(1 + hz / 700);
}

function hzOf(value) {
  return 700 * (10 ** (value / 2595) - 1);
}

function palette(scheme) {
  const stops = MAPS[scheme];
  const colours = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i += 1) {
    const place = (i / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c += 1) {
      colours[4 * i + c] = stops[low][c] + (place - low) * (stops[low + 1][c] - stops[low][c]);
    }
    colours[4 * i + 3] = 255;
  }
  return colours;
}

/** Makes a picture of an overview's spectrum, its frequencies on a mel scale, low ones at the bottom. */
export function paintSpectrum(overview, top, scheme) {
  if (overview.image && overview.scheme === scheme) {
    return overview.image;
  }
  const { columns, rows, spectrum, highest_hz: highest } = overview;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = IMAGE_ROWS;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, IMAGE_ROWS);
  const colours = new Uint32Array(palette(scheme).buffer);
  const pixels = new Uint32Array(image.data.buffer);
  const range = RANGE_DB * 2.55;
  for (let y = 0; y < IMAGE_ROWS; y += 1) {
    const hz = hzOf(mel(highest) * (1 - (y + 0.5) / IMAGE_ROWS));
    const row = Math.min(rows - 1, Math.round((hz / highest) * (rows - 1)));
    for (let x = 0; x < columns; x += 1) {
      const value = (spectrum[row * columns + x] - (top - range)) / range;
      pixels[y * columns + x] = colours[Math.max(0, Math.min(255, Math.round(255 * value)))];
    }
  }
  context.putImageData(image, 0, 0);
  Object.assign(overview, { image: canvas, scheme });
  return canvas;
}

/** Draws the part of an overview that is in view. */
export function drawSpectrum(context, overview, view, box, top, scheme) {
  const image = paintSpectrum(overview, top, scheme);
  const scale = overview.columns / (overview.end - overview.start);
  const start = Math.max(view.start, overview.start);
  const end = Math.min(view.end, overview.end);
  if (end <= start) {
    return;
  }
  const x = ((start - view.start) / (view.end - view.start)) * box.width;
  const width = ((end - start) / (view.end - view.start)) * box.width;
  context.imageSmoothingEnabled = true;
  context.drawImage(image, (start - overview.start) * scale, 0, Math.max(1, (end - start) * scale), IMAGE_ROWS, x, box.top, width, box.height);
}

/** Writes frequencies along the left edge. */
export function drawFrequencies(context, highest, box, colours) {
  context.font = colours.font;
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.lineWidth = 3;
  let last = Infinity;
  for (const hz of FREQUENCIES.filter((each) => each < highest * 0.95)) {
    const y = box.top + box.height * (1 - mel(hz) / mel(highest));
    if (last - y < 18 || y > box.top + box.height - 8 || y < box.top + 8) {
      continue;
    }
    const text = hz >= 1000 ? `${hz / 1000} kHz` : `${hz} Hz`;
    context.strokeStyle = colours.panel;
    context.strokeText(text, 6, y);
    context.fillStyle = colours.soft;
    context.fillText(text, 6, y);
    last = y;
  }
}

/** Draws amplitudes; `paint(seconds)` gives each column's colour. */
export function drawWave(context, overview, view, box, paint) {
  const middle = box.top + box.height / 2;
  const half = box.height / 2 - 2;
  const perPixel = (view.end - view.start) / box.width;
  const scale = overview.columns / (overview.end - overview.start);
  for (let x = 0; x < box.width; x += 1) {
    const from = view.start + x * perPixel;
    const first = Math.floor((from - overview.start) * scale);
    const last = Math.max(first + 1, Math.ceil((from + perPixel - overview.start) * scale));
    if (first < 0 || first >= overview.columns) {
      continue;
    }
    let low = 1;
    let high = -1;
    for (let i = first; i < Math.min(last, overview.columns); i += 1) {
      low = Math.min(low, overview.low[i]);
      high = Math.max(high, overview.high[i]);
    }
    const top = middle - Math.min(1, high) * half;
    const height = Math.max(1, (Math.min(1, high) - Math.max(-1, low)) * half);
    context.fillStyle = paint(from);
    context.fillRect(x, top, 1, height);
  }
}

/** Draws the ruler of times over the drawing. */
export function drawRuler(context, view, width, colours, format) {
  const step = STEPS.find((each) => (each / (view.end - view.start)) * width >= 76) ?? STEPS.at(-1);
  context.font = colours.font;
  context.textBaseline = "middle";
  context.textAlign = "left";
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  for (let i = Math.ceil(view.start / step - 1e-9); i * step <= view.end; i += 1) {
    const x = Math.round(((i * step - view.start) / (view.end - view.start)) * width);
    context.fillStyle = colours.line;
    context.fillRect(x, 4, 1, RULER - 4);
    context.fillStyle = colours.soft;
    const text = format(i * step, digits);
    if (x + 5 + context.measureText(text).width < width) {
      context.fillText(text, x + 5, RULER / 2 - 1);
    }
  }
}
