// The bar of tools over the roll, and the transport below it.

import { button, element, formatTime, setIcon, setPressed } from "./ui.js";

const PATIENCE_MS = 400;

/** Open, undo, download: what concerns the whole piece. */
export class Toolbar {
  /** @param {object} acts onFile(file), onPieces, onNew, onUndo, onRedo, onDownload(kind) */
  constructor(acts) {
    this.file = element("input", { type: "file", accept: ".mid,.midi,.kar,.smf,audio/midi", hidden: true, "aria-label": "MIDI file", on: {
      change: () => {
        const [file] = this.file.files;
        this.file.value = "";
        if (file) {
          acts.onFile(file);
        }
      },
    } });
    const open = button({ label: "Open", icon: "open", title: "Open a MIDI file", onClick: () => this.file.click() });
    const pieces = button({ label: "Pieces", icon: "music", title: "Demo pieces and earlier results", onClick: acts.onPieces });
    const fresh = button({ label: "New", icon: "plus", title: "Write a piece from nothing", onClick: acts.onNew });
    this.undo = button({ icon: "undo", title: "Undo", onClick: acts.onUndo });
    this.redo = button({ icon: "redo", title: "Redo", onClick: acts.onRedo });
    this.saves = [["midi", "MIDI"], ["wav", "WAV"], ["png", "PNG"]].map(([kind, label]) => {
      const node = button({ label, title: `Download what is shown as ${label}`, onClick: () => acts.onDownload(kind, node) });
      node.dataset.download = kind;
      return node;
    });
    this.title = element("h1", { class: "piece-name ellipsis" });
    this.facts = element("p", { class: "soft piece-facts ellipsis" });
    this.node = element(
      "div",
      { class: "midi-bar" },
      element("div", { class: "group" }, open, pieces, fresh),
      this.file,
      element("div", { class: "group", role: "group", "aria-label": "History" }, this.undo, this.redo),
      element("div", { class: "piece-title" }, this.title, this.facts),
      element("div", { class: "group", role: "group", "aria-label": "Download" }, this.saves),
    );
  }

  /** Shows a piece's name and size. */
  showPiece(piece) {
    this.title.textContent = piece?.name ?? "No piece is open";
    this.title.title = piece?.name ?? "";
    this.facts.textContent = piece ? factsOf(piece) : "Open a MIDI file, drop one here, or start a new piece.";
    for (const node of this.saves) {
      node.disabled = !piece;
    }
  }

  /** Shows what can be undone. */
  showHistory(history, busy) {
    for (const [node, can, word, label] of [
      [this.undo, history.canUndo, "Undo", history.undoLabel],
      [this.redo, history.canRedo, "Redo", history.redoLabel],
    ]) {
      node.disabled = !can || busy;
      const title = can ? `${word}: ${label}` : word;
      node.title = title;
      node.setAttribute("aria-label", title);
    }
  }
}

function factsOf(piece) {
  const many = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  return [many(piece.numBars, "bar"), many(piece.tracks.length, "track"), many(piece.numNotes, "note"), formatTime(piece.seconds, 0)].join(" · ");
}

/** Play, loop, follow, volume and zoom. */
export class Transport {
  /** @param {object} acts onStart, onPlay, onLoop, onFollow, onVolume(value), onZoom(factor), onLanes(factor), onFit, onTool */
  constructor(acts) {
    const start = button({ icon: "start", title: "To the beginning", onClick: acts.onStart });
    this.play = button({ icon: "play", title: "Play (Space)", onClick: acts.onPlay });
    this.play.classList.add("play");
    this.loop = button({ icon: "loop", title: "Repeat the marked bars (L)", pressed: false, onClick: acts.onLoop });
    this.follow = button({ label: "Follow", title: "Scroll with the music (F)", pressed: true, onClick: acts.onFollow });
    this.place = element("span", { class: "clock-place", text: "1.1" });
    this.time = element("span", { class: "clock-time soft", text: "0:00" });
    this.loading = element("span", { class: "clock-loading soft", role: "status" });
    this.volume = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0.8, "aria-label": "Volume", title: "Volume", on: { input: () => acts.onVolume(Number(this.volume.value)) } });
    this.tool = button({ label: "Move", title: "Drag moves the view instead of marking (M)", pressed: false, onClick: acts.onTool });
    const zoom = (icon, title, act) => button({ icon, title, onClick: act });
    this.node = element(
      "div",
      { class: "midi-transport" },
      element("div", { class: "group", role: "group", "aria-label": "Playback" }, start, this.play, this.loop),
      this.follow,
      element("div", { class: "clock" }, this.place, this.time, this.loading),
      element("span", { class: "midi-volume" }, this.volume),
      element("span", { class: "grow" }),
      this.tool,
      zoomGroup("Time", [zoom("minus", "Zoom out in time (−)", () => acts.onZoom(1 / 1.4)), zoom("plus", "Zoom in in time (+)", () => acts.onZoom(1.4))]),
      zoomGroup("Lanes", [zoom("minus", "Lower lanes ([)", () => acts.onLanes(1 / 1.3)), zoom("plus", "Taller lanes (])", () => acts.onLanes(1.3))]),
      zoom("fit", "Show the whole piece (0)", acts.onFit),
    );
  }

  /** Shows whether music plays. */
  showState(player) {
    setIcon(this.play, player.playing ? "stop" : "play", player.playing ? "Stop (Space)" : "Play (Space)");
    this.play.classList.toggle("waiting", player.waiting);
    this.play.dataset.state = player.waiting ? "waiting" : player.playing ? "playing" : "stopped";
    this.#showLoading(player);
  }

  // Said only where it takes long enough to be noticed.
  #showLoading(player) {
    clearTimeout(this.patience);
    const show = () => {
      this.loading.textContent = player.waiting ? "Loading sound …" : "";
      this.time.hidden = player.waiting;
    };
    player.waiting ? (this.patience = setTimeout(show, PATIENCE_MS)) : show();
  }

  /** Shows where the music is. */
  showPlace(piece, seconds) {
    const { bar, beat } = piece ? piece.placeOf(piece.tickAt(seconds)) : { bar: 1, beat: 1 };
    const text = `${bar}.${Math.floor(beat)}`;
    if (text !== this.place.textContent) {
      this.place.textContent = text;
    }
    this.time.textContent = `${formatTime(seconds, 0)} / ${formatTime(piece?.seconds ?? 0, 0)}`;
  }

  /** Shows the switches. */
  showSwitches({ loop, follow, tool, volume }) {
    setPressed(this.loop, loop);
    setPressed(this.follow, follow);
    setPressed(this.tool, tool === "move");
    this.volume.value = volume;
  }
}

function zoomGroup(name, buttons) {
  return element("div", { class: "zoom" }, element("span", { class: "soft", "aria-hidden": "true", text: name }), element("div", { class: "group", role: "group", "aria-label": `Zoom: ${name}` }, buttons));
}
