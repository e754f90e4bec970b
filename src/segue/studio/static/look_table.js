// Tables of results, with the best value marked, and a bar chart of the main one.

import { element } from "./ui.js";

const SVG = "http://www.w3.org/2000/svg";
const NUMBER = "[-+\u2212]?\\d[\\d,]*(?:\\.\\d+)?(?:e[-+]?\\d+)?";
const CELL = new RegExp(`^\\s*(${NUMBER})\\s*%?`, "i");
const SPAN = new RegExp(`[([]\\s*(${NUMBER})\\s*(?:to|,|;|\u2013|\u2026|\\.\\.)\\s*(${NUMBER})`, "i");
const AROUND = new RegExp(`(?:\u00b1|\\+/-)\\s*(${NUMBER})`, "i");
const HEIGHT = 26;
const LABEL_WIDTH = 250;
const CHART_WIDTH = 720;

const toNumber = (text) => Number(text.replaceAll(",", "").replace("\u2212", "-"));

/**
 * Reads a number with its interval, such as "47 (40 to 56)", "1.31 [1.2, 1.4]", "3 ± 0.2".
 * @param {string|number|null} cell
 * @returns {{value: number, low: number|null, high: number|null}|null}
 */
export function readCell(cell) {
  const text = cell === null || cell === undefined ? "" : String(cell);
  const found = CELL.exec(text);
  if (!found) {
    return null;
  }
  const value = toNumber(found[1]);
  const span = SPAN.exec(text);
  const around = AROUND.exec(text);
  if (span) {
    return { value, low: toNumber(span[1]), high: toNumber(span[2]) };
  }
  return around ? { value, low: value - toNumber(around[1]), high: value + toNumber(around[1]) } : { value, low: null, high: null };
}

/** Says which end is better, "low", "high" or null, from the words of a heading or a note. */
export function better(text) {
  const lower = /\b(lower|smaller|less) is better\b/i.test(text);
  const higher = /\b(higher|larger|more) is better\b/i.test(text);
  return lower === higher ? null : lower ? "low" : "high";
}

function bestOf(table, column) {
  const end = better(table.columns[column]) ?? better(`${table.note ?? ""} ${table.title}`);
  const values = table.rows.map((row) => readCell(row[column])?.value ?? null);
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
  const best = table.columns.map((_, i) => (i === 0 ? null : bestOf(table, i)));
  const numeric = table.columns.map((_, i) => i > 0 && table.rows.some((row) => readCell(row[i])));
  const head = table.columns.map((name, i) => element("th", { scope: "col", class: numeric[i] ? "number" : null, text: name }));
  const rows = table.rows.map((row) => element("tr", {}, table.columns.map((_, i) => cellOf(row[i], i, numeric[i], best[i]))));
  const inner = element("table", {}, element("caption", { text: table.title }), element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows));
  return element("div", { class: "result-table" }, element("div", { class: "wide", tabindex: "0", role: "group", "aria-label": table.title }, inner), table.note ? element("p", { class: "hint", text: table.note }) : null);
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
  const column = table.columns.findIndex((_, i) => i > 0 && table.rows.filter((row) => readCell(row[i])).length >= 2);
  if (column < 0) {
    return null;
  }
  const bars = table.rows.map((row) => ({ label: String(row[0]), ...readCell(row[column]) })).filter((bar) => bar.value !== undefined);
  return bars.every((bar) => bar.value >= 0) ? { name: table.columns[column], bars } : null;
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
 * A bar for each row of a table's first column of numbers, with its interval.
 * @param {object} table as in `showTable`
 * @returns {HTMLElement|null} null where there is nothing to compare
 */
export function showChart(table) {
  const found = main(table);
  if (!found) {
    return null;
  }
  const { bars, name } = found;
  const most = Math.max(...bars.map((bar) => Math.max(bar.value, bar.high ?? 0))) || 1;
  const scale = (CHART_WIDTH - LABEL_WIDTH - 70) / most;
  const told = bars.map((bar) => `${bar.label}: ${bar.value}${bar.low === null ? "" : ` (${bar.low} to ${bar.high})`}`).join("; ");
  const svg = draw("svg", { viewBox: `0 0 ${CHART_WIDTH} ${bars.length * HEIGHT + 4}`, class: "chart", role: "img", "aria-label": `${table.title}, ${name}. ${told}` });
  bars.forEach((bar, i) => svg.append(...drawBar(bar, i * HEIGHT + 4, scale)));
  const say = [table.title, name].filter((each, i, all) => all.indexOf(each) === i).join(", ");
  return element("figure", { class: "chart-figure" }, element("figcaption", { text: say }), svg);
}

function drawBar(bar, top, scale) {
  const middle = top + (HEIGHT - 8) / 2;
  const end = LABEL_WIDTH + bar.value * scale;
  const short = bar.label.length > 38 ? `${bar.label.slice(0, 36)}…` : bar.label;
  const right = LABEL_WIDTH + Math.max(bar.value, bar.high ?? 0) * scale + 8;
  const parts = [
    draw("text", { x: LABEL_WIDTH - 10, y: middle, class: "chart-label" }, short),
    draw("rect", { x: LABEL_WIDTH, y: top, width: Math.max(1, end - LABEL_WIDTH), height: HEIGHT - 8, rx: 2, class: "chart-bar" }),
    draw("text", { x: right, y: middle, class: "chart-value" }, String(bar.value)),
  ];
  parts[0].append(draw("title", {}, bar.label));
  if (bar.low !== null) {
    const [low, high] = [bar.low, bar.high].map((value) => LABEL_WIDTH + Math.max(0, value) * scale);
    parts.push(draw("path", { d: `M${low} ${middle - 5}v10M${low} ${middle}H${high}M${high} ${middle - 5}v10`, class: "chart-interval" }));
  }
  return parts;
}
