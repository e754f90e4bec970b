// Dialogs of the symbolic room: a new piece from nothing, and the pieces that are there.

import { button, confirmDialog, dialog, element, field } from "./ui.js";
import { madeText } from "./midi_settings.js";

const NEW_PIECE = { instruments: ["Piano", "Bass", "Drums"], bars: 8, tempo: 120, meter: "4/4" };

/**
 * Asks for a new piece.
 * @param {object} info of the server
 * @param {(body: object) => void} onWrite
 */
export function askNewPiece(info, onWrite) {
  const chosen = [...NEW_PIECE.instruments];
  const names = (info?.instruments ?? []).map(({ name }) => name);
  const list = element("ul", { class: "chosen-instruments", "aria-label": "Instruments chosen" });
  const said = element("p", { class: "run-error", role: "alert", hidden: true });
  const picker = field({ label: "Instrument", options: names.map((name) => ({ value: name, label: name })) });
  const show = () => {
    list.replaceChildren(...chosen.map((name, i) => element("li", null, element("span", { text: name }), removal(name, i))));
  };
  const removal = (name, i) =>
    button({ icon: "close", kind: "quiet", title: `Take ${name} out`, onClick: () => (chosen.splice(i, 1), show()) });
  const add = button({ label: "Add", icon: "plus", onClick: () => (chosen.push(picker.input.value), show()) });
  picker.classList.add("grow");
  const bars = field({ label: "Bars", type: "number", min: 1, max: 64, step: 1, value: NEW_PIECE.bars });
  const tempo = field({ label: "Tempo", type: "number", min: 20, max: 300, step: 1, value: NEW_PIECE.tempo, unit: "bpm" });
  const meter = field({ label: "Meter", value: NEW_PIECE.meter, placeholder: "4/4" });
  const write = () => {
    if (!chosen.length) {
      said.textContent = "Add at least one instrument.";
      said.hidden = false;
      return;
    }
    node.close();
    onWrite({ instruments: [...chosen], bars: Number(bars.input.value), tempo: Number(tempo.input.value), meter: meter.input.value.trim() });
  };
  show();
  const node = dialog({
    title: "New piece",
    body: [
      element("div", { class: "stack" }, list, element("div", { class: "row end" }, picker, add), element("div", { class: "triple" }, bars, tempo, meter), said),
    ],
    buttons: [
      button({ label: "Cancel", onClick: () => node.close() }),
      button({ label: "Write it", icon: "generate", kind: "primary", onClick: write }),
    ],
  });
  return node;
}

/**
 * Shows demo pieces and earlier results.
 * @param {object} context api and info
 * @param {{onDemo: (name: string, title: string) => void, onPiece: (id: string, name: string) => void}} handlers
 */
export async function askPiece(context, { onDemo, onPiece }) {
  const pick = (act) => () => {
    node.close();
    act();
  };
  const demos = (context.info?.demos ?? []).map(({ name, title }) =>
    element("li", null, pieceButton(title, "music", pick(() => onDemo(name, title)))),
  );
  const earlier = element("ul", { class: "pieces earlier" }, element("li", { class: "soft", text: "Looking …" }));
  const heading = element("h3", { text: "Opened and written here", tabindex: -1 });
  const node = dialog({
    title: "Pieces",
    body: [element("h3", { text: "That come with Segue" }), element("ul", { class: "pieces" }, demos), heading, earlier],
    buttons: [button({ label: "Close", onClick: () => node.close() })],
    wide: true,
  });
  let items;
  try {
    items = (await context.api.get("/shelf")).filter((item) => item.kind === "piece");
  } catch (error) {
    earlier.replaceChildren(element("li", { class: "run-error", text: error.message }));
    return;
  }
  const nothing = () => earlier.replaceChildren(element("li", { class: "soft", text: "Nothing yet." }));
  const drop = (row) => {
    row.remove();
    heading.focus();
    earlier.childElementCount || nothing();
  };
  earlier.replaceChildren(...items.map((item) => earlierPiece(context, item, pick(() => onPiece(item.id, item.name)), drop)));
  items.length || nothing();
}

function pieceButton(label, icon, onClick) {
  const node = button({ label, icon, kind: "quiet", title: label, onClick });
  node.classList.add("open-piece");
  return node;
}

function earlierPiece({ api, ui }, item, onOpen, onGone) {
  const remove = async () => {
    const sure = await confirmDialog({
      title: "Delete this piece?",
      message: `${item.name} is taken from the shelf and from the disk. This cannot be undone.`,
      confirm: "Delete",
    });
    if (!sure) {
      return;
    }
    try {
      await api.remove(`/shelf/${item.id}`);
    } catch (error) {
      if (error.status !== 404) {
        ui.toast(error.message, { kind: "error" });
        return;
      }
    }
    onGone(row);
  };
  const row = element("li", null, pieceButton(shelfText(item), null, onOpen),
    button({ icon: "trash", title: `Delete ${item.name}`, kind: "quiet", onClick: remove }));
  return row;
}

/**
 * Asks what becomes of candidates that are looked at when something else is to be written.
 * @param {string} label what they were written for
 * @returns {Promise<"keep"|"discard"|null>} null where nothing is to be written
 */
export function askAboutCandidates(label) {
  return new Promise((resolve) => {
    let answer = null;
    const choice = (name, options) => button({ ...options, onClick: () => ((answer = name), node.close()) });
    const keep = choice("keep", { label: "Keep it and write", icon: "check", kind: "primary" });
    const node = dialog({
      title: "Keep the candidate first?",
      body: [element("p", { text: `What was written for “${label}” is not kept yet.` })],
      buttons: [choice(null, { label: "Cancel" }), choice("discard", { label: "Discard it" }), keep],
    });
    node.addEventListener("close", () => resolve(answer));
    keep.focus();
  });
}

function shelfText({ name, created, job_kind: kind, settings }) {
  const when = created ? new Date(created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "";
  return [name, madeText(kind, settings), Number.isInteger(settings?.seed) ? `seed ${settings.seed}` : "", when].filter(Boolean).join(" · ");
}
