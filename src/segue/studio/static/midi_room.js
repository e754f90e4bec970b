// The symbolic room's parts put together: the piece, the mark, the run, and what is shown and heard.

import { element } from "./ui.js";
import { Transport, Toolbar } from "./midi_bars.js";
import { Desk } from "./midi_desk.js";
import { watchFiles } from "./midi_drop.js";
import { remembered, Run } from "./midi_job.js";
import { listenToKeys } from "./midi_keys.js";
import { Marker } from "./midi_mark.js";
import { askAboutCandidates, askNewPiece, askPiece } from "./midi_open.js";
import { Notes } from "./midi_notes.js";
import { Overview } from "./midi_overview.js";
import { Panel } from "./midi_panel.js";
import * as regions from "./midi_region.js";
import { Results } from "./midi_results.js";
import { sceneOf } from "./midi_scene.js";
import { LaneNotes } from "./midi_piece.js";
import { Settings } from "./midi_settings.js";
import { Sound } from "./midi_sound.js";
import { Roll } from "./roll.js";

const FIRST_DEMO = "quartet";
const FIRST_HOLE = { tracks: [0], unit: "bars", first: 8, last: 11 };

export class Room {
  /** @param {{api: object, info: object, ui: object}} context */
  constructor(context) {
    this.context = context;
    this.api = context.api;
    this.desk = new Desk(context.api);
    this.marker = new Marker(this);
    this.notes = new Notes(this);
    this.opening = 0;
    this.run = null;
    this.region = null;
    this.side = "candidate";
    this.likelihood = false;
    this.switches = { loop: false, follow: true, tool: "mark", volume: 0.8 };
    this.#build(context.info);
    window.segue = Object.assign(window.segue ?? {}, { midi: this });
  }

  #build(info) {
    this.settings = new Settings(info);
    this.sound = new Sound(this);
    this.player = this.sound.player;
    this.roll = new Roll(this.#rollHandlers());
    this.overview = new Overview(this.roll);
    this.panel = new Panel(
      { onRegion: (region) => this.mark(region), onWrite: () => this.write() },
      this.settings,
    );
    this.results = new Results({
      onChoose: (number) => this.choose(number),
      onSide: (side) => this.compare(side),
      onKeep: () => this.keep(),
      onDiscard: () => this.discard(),
      onCancel: () => this.cancel(),
      onRetry: () => this.retry(),
      onLikelihood: (on) => this.showLikelihood(on),
    });
    this.#buildBars();
    this.spoken = element("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
    this.empty = element("div", { class: "roll-empty", hidden: true }, element("p", { text: "Drop a MIDI file here, or open one." }));
    const stage = element("div", { class: "roll-stage" }, this.overview.node, this.roll.node, this.empty);
    const side = element("aside", { class: "midi-side", "aria-label": "Writing" }, this.panel.node, this.results.node);
    this.node = element("div", { class: "midi" }, this.toolbar.node, this.transport.node, element("div", { class: "midi-main" }, stage, side), this.spoken);
  }

  #buildBars() {
    this.toolbar = new Toolbar({
      onFile: (file) => this.openFile(file),
      onPieces: () =>
        askPiece(this.context, {
          onDemo: (name) => this.openDemo(name),
          onPiece: (id) => this.open(() => this.desk.load(id)),
        }),
      onNew: () => askNewPiece(this.context.info, (body) => this.compose(body)),
      onUndo: () => this.step(-1),
      onRedo: () => this.step(1),
      onDownload: (kind, node) => this.download(kind, node),
    });
    this.transport = new Transport({
      onStart: () => this.sound.seek(0, true),
      onPlay: () => this.sound.playOrStop(),
      onLoop: () => this.toggle("loop"),
      onFollow: () => this.toggle("follow"),
      onVolume: (volume) => {
        this.switches.volume = volume;
        this.player.setVolume(volume);
      },
      onZoom: (factor) => this.roll.zoom(factor),
      onLanes: (factor) => this.roll.zoomLanes(factor),
      onFit: () => this.roll.fit(),
      onTool: () => this.toggle("tool"),
    });
    this.transport.showSwitches(this.switches);
  }

  #rollHandlers() {
    return {
      onRegion: (from, to, options) => this.marker.drag(from, to, options),
      onSeek: (tick, { final }) => this.sound.place(tick, final),
      onView: () => this.overview?.draw(),
      onHover: (note, place) => this.roll.showTip(note ? this.notes.textOf(note) : "", place?.x, place?.y),
      onChoose: (index, step = 0) => this.notes.choose(index, step),
      onStep: (step) => this.marker.step(step),
      onWrite: () => this.write(),
      onClear: () => this.mark(null),
      heads: {
        onSelect: (track, extend) => this.marker.track(track, extend),
        onMute: (track) => this.sound.silence("muted", track),
        onSolo: (track) => this.sound.silence("soloed", track),
      },
    };
  }

  // Being on the page

  /** Listens to the page again. */
  attach() {
    this.detachers = [listenToKeys(this), watchFiles(this)];
    const recolour = () => {
      this.roll.resize();
      this.overview.rebuild();
    };
    this.context.ui.scheme.addEventListener("change", recolour);
    this.detachers.push(() => this.context.ui.scheme.removeEventListener("change", recolour));
    this.roll.scroll.scrollTop = this.scrolled ?? 0;
    this.roll.resize();
  }

  /** Leaves the page; a job goes on, music stops. */
  detach() {
    this.scrolled = this.roll.scroll.scrollTop;
    this.detachers.forEach((detach) => detach());
    this.player.pause();
    this.node.remove();
  }

  /** Opens what was open, or the piece that comes with Segue. */
  async begin() {
    this.#show({ fit: true });
    if (this.desk.history.restore()) {
      try {
        await this.desk.goTo(0);
        this.#newPiece({ fit: true });
        await this.#resume();
      } catch {
        this.desk.history.clear();
      }
    }
    if ((await this.openNamed()) || this.desk.piece) {
      return;
    }
    await this.openDemo(FIRST_DEMO);
    if (this.desk.piece) {
      this.mark(regions.fitted(this.desk.piece, FIRST_HOLE));
    }
  }

  async #resume() {
    const had = remembered();
    const job = had && (await this.api.get(`/jobs/${had.id}`).catch(() => null));
    if (job) {
      this.run = this.#newRun(had.request);
      this.run.resume(job, this.desk.piece);
    }
  }

  #newRun(request) {
    const run = new Run(this.api, request, (what, data) => run === this.run && this.#hear(what, data));
    return run;
  }

  /** Opens the piece that the address names, such as #/midi/0123456789abcdef. */
  async openNamed() {
    const named = /^#\/midi\/([0-9a-f]{16})$/.exec(location.hash)?.[1];
    if (named && named !== this.desk.piece?.id) {
      await this.open(() => this.desk.load(named));
    }
    const isOpen = named !== undefined && this.desk.piece?.id === named;
    if (isOpen) {
      // What is done with the piece from here on is not undone by loading the page again.
      history.replaceState(null, "", "#/midi");
    }
    return isOpen;
  }

  // Pieces

  /** Opens what a promise gives; where it fails, everything stays as it was. */
  async open(fetchPiece, label = "Open another piece") {
    const turn = (this.opening += 1);
    let piece;
    try {
      piece = await fetchPiece();
    } catch (error) {
      this.context.ui.toast(error.message, { kind: "error" });
      return;
    }
    if (turn !== this.opening) {
      return;
    }
    this.#leaveRun();
    this.player.stop();
    this.region = null;
    this.desk.adopt(piece, label);
    this.player.rest = 0;
    this.#newPiece({ fit: true });
    this.say(`Opened ${piece.name}`);
  }

  /** Opens a file of the user's. */
  openFile(file) {
    return this.open(() => this.desk.upload(file), `Open ${file.name}`);
  }

  /** Opens a piece that comes with Segue. */
  openDemo(name) {
    return this.open(() => this.desk.demo(name), `Open ${name}`);
  }

  /** Undoes or redoes; while candidates are there, undo gives them up. */
  async step(by) {
    if (this.run) {
      if (by < 0 && !this.run.underWay) {
        this.discard();
      }
      return;
    }
    try {
      const label = by < 0 ? this.desk.history.undoLabel : this.desk.history.redoLabel;
      if (await this.desk.goTo(by)) {
        this.#newPiece();
        this.say(`${by < 0 ? "Undone" : "Redone"}: ${label}`);
      }
    } catch (error) {
      this.context.ui.toast(error.message, { kind: "error" });
    }
  }

  #newPiece({ fit = false } = {}) {
    const { piece } = this.desk;
    this.region = regions.fitted(piece, this.region);
    this.panel.setPiece(piece);
    this.panel.setRegion(this.region);
    this.#show({ fit });
  }

  /** Downloads what is shown. */
  async download(kind, node) {
    const { shown } = this.scene;
    if (!shown) {
      return;
    }
    node.disabled = true;
    node.setAttribute("aria-busy", "true");
    try {
      await this.desk.save(shown.id, kind);
    } catch (error) {
      this.context.ui.toast(error.message, { kind: "error" });
    }
    node.disabled = false;
    node.removeAttribute("aria-busy");
  }

  // What is shown

  #show({ fit = false } = {}) {
    const silent = (track) => this.sound.isSilent(track);
    const { run, side, likelihood } = this;
    this.scene = sceneOf({ piece: this.desk.piece, run, side, likelihood, isSilent: silent, chosenNote: this.notes.chosen });
    const shape = JSON.stringify(this.scene.piece?.tracks.map(({ name, program }) => [name, program]));
    if (shape !== this.shape) {
      this.sound.clear();
      this.scene.lanes.forEach((lane) => (lane.dim = false));
    }
    this.scene.summary = this.#summary();
    this.roll.show(this.scene, { fit: fit || shape !== this.shape });
    this.shape = shape;
    this.overview.rebuild();
    this.empty.hidden = Boolean(this.scene.piece);
    this.toolbar.showPiece(this.scene.shown);
    this.transport.play.disabled = !this.scene.shown?.numNotes;
    this.toolbar.showHistory(this.desk.history, Boolean(run));
    this.#showRun();
    this.showMarks();
    this.player.setPiece(this.scene.shown);
    this.player.setSilenced(silent);
    this.sound.showPlace();
  }

  #showRun() {
    const { run, side, likelihood } = this;
    this.panel.setBusy(Boolean(run?.underWay));
    this.results.show(run, { side, likelihood, piece: this.desk.piece });
    this.node.classList.toggle("has-results", Boolean(run));
  }

  #summary() {
    const { piece } = this.scene;
    if (!piece) {
      return "No piece is open.";
    }
    const tracks = piece.tracks.map((track, i) => `${piece.nameOf(i)} (${track.num_notes} notes)`);
    return `${piece.name}: ${piece.numBars} bars, ${tracks.join(", ")}. ${regions.regionText(piece, this.region)}.`;
  }

  /** Shows what is marked: on the roll, the heads, the strip, and, once it is final, as the loop. */
  showMarks({ final = true } = {}) {
    const { run } = this;
    const piece = this.scene.piece;
    const marks = [];
    if (run?.canvas) {
      const { start_ticks: start, end_ticks: end, tracks } = run.ticks;
      marks.push({ start, end, tracks, busy: run.underWay });
    }
    const own = this.region && piece && (!run?.canvas || (this.isOnOwnBars() && !regions.same(this.region, run.region)));
    if (own) {
      const [start, end] = regions.ticksOf(piece, this.region);
      marks.push({ start, end, tracks: this.region.tracks });
    }
    const [loop] = marks;
    this.roll.setMarks(marks, this.switches.loop && loop ? loop : null);
    this.roll.heads.mark(marks.flatMap((mark) => mark.tracks), this.sound.muted, this.sound.soloed);
    this.overview.draw();
    if (final) {
      this.player.setLoop(this.switches.loop && loop ? [piece.secondsAt(loop.start), piece.secondsAt(loop.end)] : null);
    }
    this.roll.summary.textContent = this.#summary();
  }

  /** Whether the bars that are shown are those of the piece that is open. */
  isOnOwnBars() {
    return !this.run?.canvas || this.run.canvas.id === this.desk.piece?.id;
  }

  /** Marks a region; null marks nothing. */
  mark(region) {
    this.marker.set(region);
  }

  // Writing

  /** Asks for candidates. */
  async write() {
    if (this.panel.write.disabled) {
      this.say(this.panel.said.textContent);
      return;
    }
    if (await this.#settled(this.panel.request())) {
      const request = this.panel.request();
      request.body = { ...request.body, ...this.settings.asked(request.kind) };
      this.#start(request);
    }
  }

  /** Writes a piece from nothing. */
  async compose(body) {
    if (this.run?.underWay) {
      this.context.ui.toast("Something is being written. Cancel it first.", { kind: "error" });
      return;
    }
    const bars = body.bars === 1 ? "1 bar" : `${body.bars} bars`;
    const label = `${bars} for ${body.instruments.join(", ")}`;
    if (await this.#settled({ kind: "compose", body, label })) {
      this.#start({ kind: "compose", body: { ...body, ...this.settings.asked("compose") }, label });
    }
  }

  /** Asks what becomes of candidates that something else is written over; false where nothing is to be written. */
  async #settled(request) {
    const { run, region } = this;
    if (run?.state !== "done" || run.request.label === request.label) {
      return true;
    }
    const answer = await askAboutCandidates(run.request.label);
    if (answer === "keep") {
      await this.keep();
      this.mark(region);
    }
    return answer === "discard" || (answer === "keep" && this.run === null);
  }

  #start(request) {
    this.#leaveRun();
    this.side = "candidate";
    const run = this.#newRun(request);
    this.run = run;
    this.#show();
    this.results.node.scrollIntoView({ block: "nearest" });
    run.start(this.desk.piece);
    this.settings.afterRequest();
    this.say(`Writing: ${request.label}`);
  }

  #hear(what, data) {
    const { run } = this;
    if (what === "notes") {
      this.#writeNotes(data);
    } else if (what === "drop") {
      this.#show();
    } else if (what === "progress") {
      this.results.showProgress();
    } else if (what === "canvas") {
      this.#show();
      const { start_ticks: start, end_ticks: end, tracks } = run.ticks;
      this.roll.reveal(start, end, tracks);
    } else if (what === "result") {
      this.#show();
      this.#arrive();
    } else {
      this.#showRun();
      this.showMarks();
      this.toolbar.showHistory(this.desk.history, true);
      if (!run.underWay && run.state !== "done") {
        this.#show();
        this.say(run.error?.message ?? this.results.state.textContent);
      }
    }
  }

  #arrive() {
    const { run } = this;
    const { piece } = this.scene;
    const bar = piece.barAt(run.ticks.start_ticks);
    if (!this.player.playing) {
      this.sound.seek(piece.secondsAt(piece.starts[Math.max(0, bar - 1)]));
    }
    this.player.prepare(this.scene.shown, this.player.position());
    this.say(`${this.results.state.textContent}. Best: ${run.candidates[0]?.num_notes ?? 0} notes.`);
  }

  #writeNotes({ candidate, notes }) {
    const { run, scene, roll } = this;
    this.results.count();
    if (!run.canvas || candidate !== run.chosen || this.side !== "candidate" || run.candidates.length) {
      return;
    }
    let isWider = false;
    for (const [track, pitch, onset, duration, velocity] of notes) {
      const lane = scene.lanes[track];
      if (lane) {
        lane.fresh ??= new LaneNotes();
        lane.fresh.add(pitch, onset, duration, velocity, -1);
        isWider ||= lane.layout.rows[pitch] < 0;
      }
    }
    if (isWider) {
      roll.layOut();
    }
    roll.redraw("lanes");
    run.shownAt ??= performance.now() - run.startedAt;
  }

  /** Looks at another candidate. */
  async choose(number) {
    const { run } = this;
    if (!run) {
      return;
    }
    this.side = "candidate";
    this.notes.clear();
    try {
      await run.choose(number);
    } catch (error) {
      this.context.ui.toast(error.message, { kind: "error" });
    }
    if (run === this.run && run.chosen === number) {
      this.#show();
      this.say(this.results.nameOf(number));
    }
  }

  /** Shows and plays the original or the candidate. */
  compare(side = this.side === "candidate" ? "original" : "candidate") {
    if (this.run?.state === "done" && side !== this.side) {
      this.side = side;
      this.#show();
      this.say(side === "candidate" ? "Candidate" : "Original");
    }
  }

  /** Takes the candidate as the piece. */
  async keep() {
    const { run } = this;
    const candidate = run?.state === "done" ? run.candidate() : null;
    if (!candidate) {
      return;
    }
    let piece;
    try {
      piece = await run.load(candidate.piece);
    } catch (error) {
      this.context.ui.toast(error.message, { kind: "error" });
    }
    if (!piece || run !== this.run) {
      return;
    }
    const { region } = run;
    const { label } = run.request;
    this.#leaveRun();
    this.desk.adopt(piece, label);
    this.region = region;
    this.#newPiece();
    if (candidate.rank !== 1) {
      // The best one stands on the shelf already.
      this.desk.shelve(piece.id).catch((error) => this.context.ui.toast(error.message, { kind: "error" }));
    }
    this.say(`Kept: ${label}`);
    this.roll.canvas.focus({ preventScroll: true });
  }

  /** Goes back to the piece as it was. */
  discard() {
    this.#leaveRun();
    this.#newPiece();
    this.say("Discarded");
    this.roll.canvas.focus({ preventScroll: true });
  }

  /** Gives up what is being written. */
  async cancel() {
    try {
      await this.run?.cancel();
    } catch (error) {
      this.context.ui.toast(error.message, { kind: "error" });
    }
  }

  /** Asks once more for what did not come. */
  retry() {
    if (this.run && !this.run.underWay) {
      this.#start(this.run.request);
    }
  }

  #leaveRun() {
    this.run?.close();
    this.run = null;
    this.side = "candidate";
    this.notes.clear();
  }

  // Notes and their likelihood

  /** Colours the new notes by their likelihood. */
  showLikelihood(on) {
    this.likelihood = on;
    this.#show();
  }

  /** Places the cursor where the mark begins. */
  placeAtMark() {
    const [mark] = this.roll.marks;
    if (mark) {
      this.sound.seek(this.scene.piece.secondsAt(mark.start), true);
    }
  }

  // Switches

  /** Turns a switch: loop, follow or tool. */
  toggle(name) {
    this.switches[name] = name === "tool" ? (this.switches.tool === "mark" ? "move" : "mark") : !this.switches[name];
    this.roll.tool = this.switches.tool;
    this.roll.node.classList.toggle("moving", this.switches.tool === "move");
    this.transport.showSwitches(this.switches);
    this.showMarks();
  }

  /** Tells everyone, for a moment; the same thing not twice at once. */
  tell(text) {
    this.untell?.();
    this.untell = this.context.ui.toast(text);
  }

  /** Tells screen readers. */
  say(text) {
    this.spoken.textContent = text;
  }
}
