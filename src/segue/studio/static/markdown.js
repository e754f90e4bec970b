// A small Markdown reader that builds DOM nodes: headings, paragraphs, lists, tables, quotes, code,
// bold, emphasis, links to http(s). Whatever else a text holds is shown as it stands.

import { element } from "./ui.js";

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|\*(\S(?:[^*]*\S)?)\*|\[([^\]]*)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|<(https?:\/\/[^\s<>]+)>/;

/**
 * @param {string} text Markdown
 * @param {{level?: number}} [options] `level` of the topmost heading, 1 to 6
 * @returns {DocumentFragment}
 */
export function render(text, { level = 2 } = {}) {
  const fragment = document.createDocumentFragment();
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  let at = 0;
  while (at < lines.length) {
    const block = BLOCKS.find(({ begins }) => begins(lines, at));
    const [node, next] = block.read(lines, at, level);
    if (node) {
      fragment.append(node);
    }
    at = next;
  }
  return fragment;
}

const isTable = (lines, at) => lines[at].includes("|") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("|");

const BLOCKS = [
  { begins: (lines, at) => lines[at].trim() === "", read: (_, at) => [null, at + 1] },
  { begins: (lines, at) => /^\s*(```|~~~)/.test(lines[at]), read: readCode },
  { begins: (lines, at) => /^#{1,6}\s/.test(lines[at]), read: readHeading },
  { begins: (lines, at) => /^\s*([-*_])(\s*\1){2,}\s*$/.test(lines[at]), read: (_, at) => [element("hr", { class: "rule" }), at + 1] },
  { begins: isTable, read: readTable },
  { begins: (lines, at) => ITEM.test(lines[at]), read: readList },
  { begins: (lines, at) => /^\s*>/.test(lines[at]), read: readQuote },
  { begins: () => true, read: readParagraph },
];

function readCode(lines, at) {
  const fence = /^\s*(```|~~~)/.exec(lines[at])[1];
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(fence)) {
    end += 1;
  }
  const code = element("code", { text: lines.slice(at + 1, end).join("\n") });
  return [element("pre", { tabindex: "0" }, code), end + 1];
}

function readHeading(lines, at, level) {
  const [, marks, text] = /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(lines[at]) ?? [null, "#", ""];
  return [element(`h${Math.min(6, marks.length + level - 1)}`, {}, inline(text)), at + 1];
}

function readParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && BLOCKS.find(({ begins }) => begins(lines, end)).read === readParagraph) {
    end += 1;
  }
  return [element("p", {}, inline(lines.slice(at, end).map((line) => line.trim()).join(" "))), end];
}

function readQuote(lines, at, level) {
  let end = at;
  while (end < lines.length && /^\s*>/.test(lines[end])) {
    end += 1;
  }
  const text = lines.slice(at, end).map((line) => line.replace(/^\s*> ?/, "")).join("\n");
  return [element("blockquote", {}, render(text, { level })), end];
}

function readList(lines, at) {
  const [, indent, mark] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(mark);
  const list = element(ordered ? "ol" : "ul", ordered && parseInt(mark, 10) !== 1 ? { start: parseInt(mark, 10) } : {});
  let end = at;
  while (end < lines.length) {
    const found = ITEM.exec(lines[end]);
    const deeper = (found?.[1].length ?? -1) - indent.length;
    if (deeper < 0 || (deeper === 0 && /\d/.test(found[2]) !== ordered)) {
      break;
    }
    if (deeper > 0) {
      const [nested, next] = readList(lines, end);
      list.lastElementChild.append(nested);
      end = next;
      continue;
    }
    const [text, next] = readItem(lines, end, found[3]);
    list.append(element("li", {}, inline(text)));
    end = next;
  }
  return [list, end];
}

function readItem(lines, at, first) {
  const parts = [first];
  let end = at + 1;
  while (end < lines.length && /^\s+\S/.test(lines[end]) && !ITEM.test(lines[end])) {
    parts.push(lines[end].trim());
    end += 1;
  }
  return [parts.join(" "), end];
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function readTable(lines, at) {
  const head = cells(lines[at]);
  let end = at + 2;
  const rows = [];
  while (end < lines.length && lines[end].includes("|") && lines[end].trim() !== "") {
    rows.push(cells(lines[end]));
    end += 1;
  }
  const body = rows.map((row) => element("tr", {}, head.map((_, i) => element(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : {}, inline(row[i] ?? "")))));
  const named = head.some((cell) => cell !== "");
  const top = named ? element("thead", {}, element("tr", {}, head.map((cell) => (cell ? element("th", { scope: "col" }, inline(cell)) : element("td"))))) : null;
  const table = element("table", {}, top, element("tbody", {}, body));
  return [element("div", { class: "scroll-x", tabindex: "0", role: "group", "aria-label": "Table" }, table), end];
}

function inline(text) {
  const found = INLINE.exec(text);
  if (!found) {
    return text === "" ? [] : [text];
  }
  const before = text.slice(0, found.index);
  const after = text.slice(found.index + found[0].length);
  return [...(before ? [before] : []), mark(found), ...inline(after)];
}

function mark([whole, , code, bold, emphasis, label, target, bare]) {
  if (code !== undefined) {
    return element("code", { text: code });
  }
  if (bold !== undefined) {
    return element("strong", {}, inline(bold));
  }
  if (emphasis !== undefined) {
    return element("em", {}, inline(emphasis));
  }
  const address = bare ?? target;
  if (!/^https?:\/\/[^\s]+$/i.test(address)) {
    return label || whole;
  }
  return element("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, bare ?? inline(label));
}
