// One request for new notes, from the click to the choice.

import { Piece } from "./midi_piece.js";
import * as regions from "./midi_region.js";

/** States in which a run still goes on. */
export const UNDER_WAY = new Set(["asking", "queued", "running"]);

const KEY = "segue.midi.run";

function remember(run) {
  try {
    run ? sessionStorage.setItem(KEY, JSON.stringify(run)) : sessionStorage.removeItem(KEY);
  } catch {
    // Storage is closed to this page: a run lasts until the page is left.
  }
}

/** The run that this tab had before the page was loaded again: {id, request}, or null. */
export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}

export class Run {
  /**
   * @param {object} api
   * @param {{kind: "inpaint"|"outpaint"|"compose", body: object, label: string}} request
   * @param {(what: "state"|"canvas"|"notes"|"drop"|"progress"|"result", data?: object) => void} onChange
   */
  constructor(api, request, onChange) {
    this.api = api;
    this.request = request;
    this.onChange = onChange;
    this.state = "asking";
    this.position = null;
    this.progress = null;
    this.error = null;
    this.id = null;
    this.canvas = null;
    this.region = null;
    this.live = new Map();
    this.candidates = [];
    this.chosen = 0;
    this.chosenByHand = false;
    this.pieces = new Map();
    this.closed = false;
    for (let i = 0; i < (request.body.candidates ?? 1); i += 1) {
      this.live.set(i, []);
    }
  }

  get underWay() {
    return UNDER_WAY.has(this.state);
  }

  /**
   * Asks the server, and follows the job.
   * @param {Piece|null} piece that is open
   */
  async start(piece) {
    this.before = piece;
    this.startedAt = performance.now();
    try {
      const job = await this.api.post(`/midi/${this.request.kind}`, this.request.body);
      if (this.closed) {
        this.api.remove(`/jobs/${job.id}`).catch(() => undefined);
        return;
      }
      this.#follow(job);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * Takes up a job that was asked for before the page was loaded again.
   * @param {object} job as the server tells it
   * @param {Piece|null} piece that is open
   */
  resume(job, piece) {
    this.before = piece;
    this.startedAt = performance.now();
    this.#follow(job);
  }

  #follow(job) {
    this.id = job.id;
    remember({ id: job.id, request: this.request });
    this.#become(UNDER_WAY.has(job.state) ? job.state : "running", job.position);
    this.following = this.api.follow(job.id, { onEvent: (name, data) => this.#hear(name, data) });
  }

  #become(state, position = null) {
    Object.assign(this, { state, position });
    this.onChange("state");
  }

  #fail(error) {
    if (!this.closed) {
      this.error = { kind: error.kind ?? "internal", message: error.message };
      this.#become("failed");
    }
  }

  #hear(name, data) {
    if (this.closed) {
      return;
    }
    const acts = {
      state: () => UNDER_WAY.has(data.state) && this.#become(data.state, data.position),
      begin: () => this.#begin(data),
      notes: () => this.#write(data),
      drop: () => this.#drop(data),
      progress: () => {
        this.progress = data.total ? data.done / data.total : null;
        this.onChange("progress");
      },
      result: () => (this.result = data),
      error: () => (this.error = data),
      end: () => this.#end(data.state),
    };
    acts[name]?.();
  }

  async #begin({ piece, region }) {
    this.#note("begin");
    try {
      this.canvas = piece === this.before?.id ? this.before : await this.load(piece);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.region = regions.told(this.canvas, region);
    this.ticks = region;
    this.onChange("canvas");
  }

  #write({ candidate, notes }) {
    this.#note("notes");
    const rows = this.live.get(candidate) ?? [];
    this.live.set(candidate, rows);
    rows.push(...notes);
    this.onChange("notes", { candidate, notes });
  }

  #drop({ candidate, track }) {
    const rows = this.live.get(candidate) ?? [];
    this.live.set(
      candidate,
      rows.filter(([on]) => on !== track),
    );
    this.onChange("drop");
  }

  #note(what) {
    this.seen ??= {};
    this.seen[what] ??= performance.now() - this.startedAt;
  }

  async #end(state) {
    if (state !== "done" || !this.result) {
      this.#become(state === "done" ? "failed" : state);
      return;
    }
    this.candidates = this.result.candidates;
    const best = this.candidates[0];
    const kept = this.candidates.find((one) => one.number === this.chosen);
    this.chosen = (this.chosenByHand && kept ? kept : best)?.number ?? 0;
    try {
      if (this.result.before !== this.canvas?.id) {
        this.canvas = await this.load(this.result.before);
        this.region = regions.told(this.canvas, this.result.region);
        this.ticks = this.result.region;
      }
      await this.load(this.candidate()?.piece);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!this.closed) {
      this.#become("done");
      this.onChange("result");
    }
  }

  /** A piece of this run, fetched once. */
  async load(id) {
    if (!this.pieces.has(id)) {
      this.pieces.set(id, new Piece(await this.api.get(`/midi/pieces/${id}`)));
    }
    return this.pieces.get(id);
  }

  /** The candidate that is looked at, once there are results. */
  candidate() {
    return this.candidates.find((one) => one.number === this.chosen) ?? null;
  }

  /** The piece of the candidate that is looked at, where it has been fetched. */
  candidatePiece() {
    return this.pieces.get(this.candidate()?.piece) ?? null;
  }

  /** Looks at another candidate, by its number before ranking. */
  async choose(number) {
    this.chosen = number;
    this.chosenByHand = true;
    const candidate = this.candidate();
    if (candidate) {
      await this.load(candidate.piece);
    }
  }

  /** Asks the server to give up. */
  async cancel() {
    if (this.id && this.underWay) {
      await this.api.remove(`/jobs/${this.id}`);
    }
  }

  /** Hears nothing more. */
  close() {
    this.closed = true;
    remember(null);
    this.following?.stop();
    if (this.underWay) {
      this.cancel().catch(() => undefined);
    }
  }
}
