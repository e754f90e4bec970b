// Tables of results, with the best value marked, and a bar chart of the main one.

import { element } from "./ui.js";

const SVG = "http://www.w3.org/2000/svg";
const NUMBER = "[-+\u2212]?\\d[\\d,]*(?:\\.\\d+)?(?:e[-+]?\\d+)?";
const CELL = new RegExp(`^\\s*(${NUMBER})\\s*%?\\s*(?:[\\[(\u00b1].*)?$`, "i");
const APART = /\b(floor|ceiling|reference)\b/i;
const SPAN = new RegExp(`[([]\\s*(${NUMBER})\\s*(?:to|,|;|\u2013|\u2026|\\.\\.)\\s*(${NUMBER})`, "i");
const AROUND = new RegExp(`(?:\u00b1|\\+/-)\\s*(${NUMBER})`, "i");
const HEIGHT = 26;
const LABEL_WIDTH = 300;
const CHART_WIDTH = 720;
const MOST_BARS = 16;

const toNumber = (text) => Number(text.replaceAll(",", "").replace("\u2212", "-"));

/**
 * Reads a number with its interval, such as "47 (40 to 56)", "1.31 [1.2, 1.4]", "3 ± 0.2".
 * @param {string|number|null} cell
 * @returns {{text: string, value: number, low: number|null, high: number|null}|null}
 */
export function readCell(cell) {
  const text = cell === null || cell === undefined ? "" : String(cell);
  const found = CELL.exec(text);
  if (!found) {
    return null;
  }
  const [, said] = found;
  const value = toNumber(said);
  const span = SPAN.exec(text);
  const around = AROUND.exec(text);
  if (span) {
    return { text: said, value, low: toNumber(span[1]), high: toNumber(span[2]) };
  }
  return around ? { text: said, value, low: value - toNumber(around[1]), high: value + toNumber(around[1]) } : { text: said, value, low: null, high: null };
}

/** Says which end is better, "low", "high" or null, from the words of a heading or a note. */
export function better(text) {
  const lower = /\b(lower|smaller|less) is better\b/i.test(text);
  const higher = /\b(higher|larger|more) is better\b/i.test(text);
  return lower === higher ? null : lower ? "low" : "high";
}

// Where some numbers have intervals, those without are no scores: rates, counts.
function isScore(table, column) {
  const measured = (i) => i > 0 && table.rows.some((row) => readCell(row[i])?.low !== null && readCell(row[i]));
  return table.columns.some((_, i) => measured(i)) ? measured(column) : column > 0;
}

function bestOf(table, column) {
  const end = better(table.columns[column]) ?? better(`${table.note ?? ""} ${table.title}`);
  const rows = table.rows.filter((row) => !APART.test(String(row[0])));
  const values = rows.map((row) => readCell(row[column])?.value ?? null);
  const known = values.filter((value) => value !== null);
  if (!end || known.length < 2) {
    return null;
  }
  return end === "low" ? Math.min(...known) : Math.max(...known);
}

/**
 * @param {{title: string, note: string, columns: string[], rows: Array<Array<string|number|null>>}} table
 * @returns {HTMLElement}
 */
export function showTable(table) {
  const best = table.columns.map((_, i) => (isScore(table, i) ? bestOf(table, i) : null));
  const numeric = table.columns.map((_, i) => i > 0 && table.rows.some((row) => readCell(row[i])));
  const head = table.columns.map((name, i) => element("th", { scope: "col", class: numeric[i] ? "number" : null, text: name }));
  const rows = table.rows.map((row) => element("tr", {}, table.columns.map((_, i) => cellOf(row[i], i, numeric[i], APART.test(String(row[0])) ? null : best[i]))));
  const inner = element("table", {}, element("caption", { text: table.title }), element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
  return element("div", { class: "result-table" }, element("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": table.title }, inner), table.note ? element("p", { class: "hint", text: table.note }) : null);
}

function cellOf(value, index, numeric, best) {
  const text = value === null || value === undefined || value === "" ? "–" : String(value);
  if (index === 0) {
    return element("th", { scope: "row", text });
  }
  const isBest = best !== null && readCell(value)?.value === best;
  const kept = isBest ? [element("strong", { text }), element("span", { class: "visually-hidden", text: " (best)" })] : [text];
  return element("td", { class: [numeric ? "number" : "", isBest ? "best" : ""].join(" ").trim() || null }, kept);
}

function main(table) {
  const column = table.columns.findIndex((_, i) => isScore(table, i) && table.rows.filter((row) => readCell(row[i])).length >= 2);
  if (column < 0) {
    return null;
  }
  const bars = table.rows.map((row) => ({ label: String(row[0]), ...readCell(row[column]) })).filter((bar) => bar.value !== undefined);
  return bars.length <= MOST_BARS && bars.some((bar) => bar.value > 0) ? { name: table.columns[column], bars } : null;
}

function draw(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) {
    node.setAttribute(key, value);
  }
  if (text !== undefined) {
    node.textContent = text;
  }
  return node;
}

/**
 * A bar for each row of a table's first column of scores, with its interval.
 * @param {object} table as in `showTable`
 * @param {string} own name of the model: its bars stand out
 * @returns {HTMLElement|null} null where there is nothing to compare
 */
export function showChart(table, own) {
  const found = main(table);
  if (!found) {
    return null;
  }
  const { bars, name } = found;
  const most = Math.max(...bars.map((bar) => Math.max(bar.value, bar.high ?? 0))) || 1;
  const scale = (CHART_WIDTH - LABEL_WIDTH - 70) / most;
  const told = bars.map((bar) => `${bar.label}: ${bar.text}${bar.low === null ? "" : ` (${bar.low} to ${bar.high})`}`).join("; ");
  const svg = draw("svg", { viewBox: `0 0 ${CHART_WIDTH} ${bars.length * HEIGHT + 4}`, class: "chart", role: "img", "aria-label": `${table.title}, ${name}. ${told}` });
  bars.forEach((bar, i) => svg.append(...drawBar(bar, i * HEIGHT + 4, scale, bar.label.includes(own))));
  const say = [table.title, name].filter((each, i, all) => all.indexOf(each) === i).join(", ");
  return element("figure", { class: "chart-figure" }, element("figcaption", { text: say }), svg);
}

function drawBar(bar, top, scale, own) {
  const middle = top + (HEIGHT - 8) / 2;
  const end = LABEL_WIDTH + Math.max(0, bar.value) * scale;
  const short = bar.label.length > 46 ? `${bar.label.slice(0, 44)}…` : bar.label;
  const right = LABEL_WIDTH + Math.max(bar.value, bar.high ?? 0, 0) * scale + 8;
  const parts = [
    draw("text", { x: LABEL_WIDTH - 10, y: middle, class: "chart-label" }, short),
    draw("rect", { x: LABEL_WIDTH, y: top, width: Math.max(1, end - LABEL_WIDTH), height: HEIGHT - 8, rx: 2, class: own ? "chart-bar own" : "chart-bar" }),
    draw("text", { x: right, y: middle, class: "chart-value" }, bar.text),
  ];
  parts[0].append(draw("title", {}, bar.label));
  if (bar.low !== null) {
    const [low, high] = [bar.low, bar.high].map((value) => LABEL_WIDTH + Math.max(0, value) * scale);
    parts.push(draw("path", { d: `M${low} ${middle - 5}v10M${low} ${middle}H${high}M${high} ${middle - 5}v10`, class: "chart-interval" }));
  }
  return parts;
}
