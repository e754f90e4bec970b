// Plays a piece from the stems that the server makes: fetched ahead, joined on the sample.

import { lengthOf, RATE, SEGMENT_SECONDS, segmentAt, SoundShelf, stereo } from "./player_sound.js";

const SCHEDULED_SECONDS = 5;
const MOST_AHEAD_SECONDS = 40;
const MOST_AHEAD_BYTES = 128 * 2 ** 20;
const LEAD_SECONDS = 0.06;
const FADE_SECONDS = 0.012;
const LEAST_LOOP = 0.05;

/** One piece sounding: a gain for every track, and what is scheduled. */
class Deck {
  constructor(player, piece) {
    this.player = player;
    this.piece = piece;
    this.out = new GainNode(player.context, { gain: 1 });
    this.out.connect(player.master);
    this.gains = new Map();
    this.sources = new Set();
    for (const track of piece.tracks) {
      const gain = new GainNode(player.context, { gain: player.isAudible(track.index) ? 1 : 0 });
      gain.connect(this.out);
      this.gains.set(track.index, gain);
    }
  }

  /** Plays a stretch of some tracks: from `offset` in each sound, at a time of the context. */
  async schedule(sounds, offset, seconds, when) {
    for (const [i, [track, samples]] of [...sounds].entries()) {
      if (i % 8 === 7) {
        await new Promise((resolve) => setTimeout(resolve));
      }
      const late = Math.max(0, this.player.context.currentTime - when);
      if ((offset + late) * RATE < samples.length / 2 && late < seconds && !this.ended) {
        const source = new AudioBufferSourceNode(this.player.context, { buffer: stereo(samples) });
        source.connect(this.gains.get(track));
        source.start(when + late, offset + late, seconds - late);
        this.sources.add(source);
        source.addEventListener("ended", () => this.sources.delete(source));
      }
    }
  }

  /** Dips for a moment, so that a jump makes no click. */
  dip(when) {
    this.out.gain.setValueAtTime(1, Math.max(0, when - FADE_SECONDS));
    this.out.gain.linearRampToValueAtTime(0, when);
    this.out.gain.linearRampToValueAtTime(1, when + FADE_SECONDS);
  }

  /** Fades out at a time of the context. */
  end(when = this.player.context.currentTime) {
    this.ended = true;
    this.out.gain.cancelScheduledValues(when);
    this.out.gain.setTargetAtTime(0, when, FADE_SECONDS);
    for (const source of this.sources) {
      source.stop(when + 6 * FADE_SECONDS);
    }
    setTimeout(() => this.out.disconnect(), 400 + 1000 * Math.max(0, when - this.player.context.currentTime));
  }
}

export class Player {
  /**
   * @param {object} api
   * @param {{onState: () => void, onError: (error: Error) => void}} handlers
   */
  constructor(api, handlers) {
    this.handlers = handlers;
    this.shelf = new SoundShelf(api);
    this.context = null;
    this.piece = null;
    this.deck = null;
    this.playing = false;
    this.lacking = false;
    this.changing = 0;
    this.loop = null;
    this.rest = 0;
    this.turn = 0;
    this.plan = [];
    this.volume = 0.8;
    this.silenced = () => false;
  }

  isAudible(track) {
    return !this.silenced(track);
  }

  /** Whether music that should be heard has not come yet. */
  get waiting() {
    return this.lacking || this.changing > 0;
  }

  #audible(piece) {
    return piece.tracks.filter((track) => track.num_notes > 0 && this.isAudible(track.index)).map((track) => track.index);
  }

  #wake() {
    if (!this.context) {
      this.context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
      this.master = new GainNode(this.context, { gain: loudness(this.volume) });
      this.master.connect(this.context.destination);
    }
    return this.context.resume();
  }

  /** Loudness from 0 to 1. */
  setVolume(volume) {
    this.volume = volume;
    this.master?.gain.setTargetAtTime(loudness(volume), this.context.currentTime, 0.015);
  }

  /** Says anew which tracks are silent: at once, with the music going on. */
  setSilenced(silenced) {
    this.silenced = silenced;
    for (const [track, gain] of this.deck?.gains ?? []) {
      gain.gain.setTargetAtTime(silenced(track) ? 0 : 1, this.context.currentTime, 0.008);
    }
    this.#addMissing(this.deck);
  }

  // Tracks that were silent when the music was scheduled join it where it is.
  async #addMissing(deck) {
    for (const step of deck ? [...this.plan] : []) {
      const tracks = this.#audible(deck.piece).filter((track) => !step.tracks.has(track));
      if (!tracks.length || step.when + step.to - step.from < this.context.currentTime) {
        continue;
      }
      tracks.forEach((track) => step.tracks.add(track));
      const number = segmentAt(step.from);
      try {
        const sounds = await this.shelf.get(deck.piece, number, tracks);
        await deck.schedule(sounds, step.from - number * SEGMENT_SECONDS, step.to - step.from, step.when);
      } catch (error) {
        this.#fail(error, this.turn);
        return;
      }
    }
  }

  /** Gains of the tracks as they are at this moment. */
  gains() {
    return [...(this.deck?.gains ?? [])].map(([track, gain]) => ({ track, gain: gain.gain.value }));
  }

  /** Where the music is, in seconds. */
  position() {
    if (!this.playing || !this.plan.length) {
      return this.rest;
    }
    const now = this.context.currentTime - (this.context.outputLatency || 0);
    while (this.plan.length > 1 && this.plan[1].when <= now) {
      this.plan.shift();
    }
    return this.#placeAt(now);
  }

  #placeAt(now) {
    const { when, from, to } = this.plan.findLast((step) => step.when <= now) ?? this.plan[0];
    return Math.max(from, Math.min(to, from + now - when));
  }

  /** Places the cursor; goes on playing from there if it plays. */
  seek(seconds) {
    this.rest = Math.max(0, Math.min(seconds, this.piece ? this.piece.seconds : 0));
    if (this.playing) {
      this.play();
    }
  }

  /** Repeats from one time to another; null ends it. Music that is past it goes back to its beginning. */
  setLoop(span) {
    const usable = span && span[1] - span[0] >= LEAST_LOOP ? span.map(onFrame) : null;
    if (String(usable) === String(this.loop)) {
      return;
    }
    const here = this.position();
    this.loop = usable;
    if (this.playing) {
      const past = usable !== null && here >= usable[1];
      this.rest = past ? usable[0] : here;
      this.play({ smooth: !past });
    }
  }

  /** Takes another piece; if music plays, it goes over to it at the same place as soon as its sound is there. */
  async setPiece(piece) {
    if (piece?.id === this.piece?.id) {
      return;
    }
    this.piece = piece;
    if (!piece) {
      this.stop();
      return;
    }
    if (!this.playing) {
      this.rest = Math.min(this.rest, piece.seconds);
      return;
    }
    this.changing += 1;
    this.handlers.onState();
    let trouble = null;
    try {
      await this.#enough(piece, Math.min(this.position(), piece.seconds));
    } catch (error) {
      trouble = error;
    }
    this.changing -= 1;
    if (piece !== this.piece || !this.playing || this.deck?.piece === piece) {
      this.handlers.onState();
    } else if (trouble) {
      this.#fail(trouble, this.turn);
    } else {
      this.rest = Math.min(this.position(), piece.seconds);
      this.play({ smooth: true });
    }
  }

  /** Fetches what would be heard first, so that it begins at once. */
  prepare(piece, seconds) {
    this.shelf.get(piece, segmentAt(seconds), this.#audible(piece)).catch(() => undefined);
  }

  // The segment at a time; where it takes longer to come than to play, the next one too.
  async #enough(piece, seconds) {
    const number = segmentAt(seconds);
    const began = performance.now();
    const sounds = await this.shelf.get(piece, number, this.#audible(piece));
    if (performance.now() - began > 1000 * SEGMENT_SECONDS) {
      await this.shelf.get(piece, number + 1, this.#audible(piece));
    }
    return sounds;
  }

  /**
   * Plays from where the cursor is.
   * @param {{smooth?: boolean}} [options] smooth: what sounds now goes over into it, in time
   */
  async play({ smooth = false } = {}) {
    if (!this.piece) {
      return;
    }
    const turn = (this.turn += 1);
    const old = { deck: this.deck, plan: this.plan };
    this.rest = onFrame(this.rest);
    if (this.rest >= this.piece.seconds - LEAST_LOOP) {
      this.rest = this.loop ? this.loop[0] : 0;
    }
    if (!smooth) {
      old.deck?.end();
      this.deck = null;
      this.plan = [];
    }
    this.playing = true;
    this.lacking = true;
    this.handlers.onState();
    try {
      await this.#wake();
      await this.#enough(this.piece, this.rest);
      if (turn !== this.turn) {
        return;
      }
      this.#turnOver(turn, smooth && old.deck ? old : null);
    } catch (error) {
      this.#fail(error, turn);
    }
  }

  #turnOver(turn, old) {
    const soonest = Math.ceil((this.context.currentTime + LEAD_SECONDS) * RATE) / RATE;
    let from = this.rest;
    if (old) {
      from = Math.min(onFrame(this.#placeAt(soonest)), this.piece.seconds);
      old.deck.end(soonest);
    }
    this.deck = new Deck(this, this.piece);
    this.plan = [];
    this.rest = from;
    this.#fill(turn, this.deck, from, Math.round(soonest * RATE)).catch((error) => this.#fail(error, turn));
    this.#stock(turn, this.deck).catch(() => undefined);
  }

  #fail(error, turn) {
    if (turn === this.turn) {
      this.stop();
      this.handlers.onError(error);
    }
  }

  async #fill(turn, deck, from, first) {
    let [next, frame] = [from, first];
    const end = lengthOf(deck.piece);
    while (next < end) {
      const number = segmentAt(next);
      const tracks = new Set(this.#audible(deck.piece));
      const sounds = await this.#due(turn, deck, next, frame);
      if (turn !== this.turn) {
        return;
      }
      frame = Math.max(frame, Math.ceil((this.context.currentTime + LEAD_SECONDS / 2) * RATE));
      const border = this.loop && next < this.loop[1] ? this.loop[1] : end;
      const until = Math.min((number + 1) * SEGMENT_SECONDS, border);
      this.plan.push({ when: frame / RATE, from: next, to: until, tracks });
      const scheduled = deck.schedule(sounds, next - number * SEGMENT_SECONDS, until - next, frame / RATE);
      frame += Math.round((until - next) * RATE);
      next = until;
      if (this.loop && until === border && border !== end) {
        next = this.loop[0];
        deck.dip(frame / RATE);
      }
      await scheduled;
      this.#lack(turn, false);
      this.#addMissing(deck);
      await this.#until(turn, frame / RATE - SCHEDULED_SECONDS);
    }
    await this.#until(turn, frame / RATE);
    if (turn === this.turn) {
      this.stop();
      this.rest = 0;
      this.handlers.onState();
    }
  }

  // The next segment; where it is late, this is said, and the music goes on when there is enough of it.
  async #due(turn, deck, seconds, frame) {
    const number = segmentAt(seconds);
    const left = frame / RATE - this.context.currentTime;
    const late = setTimeout(() => this.#lack(turn, true), Math.max(0, 1000 * left));
    try {
      const sounds = await this.shelf.get(deck.piece, number, this.#audible(deck.piece));
      if (this.lacking && turn === this.turn && this.context.currentTime * RATE > frame) {
        await this.shelf.get(deck.piece, number + 1, this.#audible(deck.piece));
      }
      return sounds;
    } finally {
      clearTimeout(late);
    }
  }

  #lack(turn, lacking) {
    if (turn === this.turn && this.lacking !== lacking) {
      this.lacking = lacking;
      this.handlers.onState();
    }
  }

  // Fetches beyond what is scheduled, one segment after the other.
  async #stock(turn, deck) {
    while (turn === this.turn) {
      const tracks = this.#audible(deck.piece);
      const here = this.position();
      const room = MOST_AHEAD_BYTES / (Math.max(1, tracks.length) * RATE * 4);
      const end = Math.min(here + Math.min(MOST_AHEAD_SECONDS, room), this.loop && here < this.loop[1] ? this.loop[1] : lengthOf(deck.piece));
      let number = segmentAt(here);
      while (number * SEGMENT_SECONDS < end && this.shelf.has(deck.piece, number, tracks)) {
        number += 1;
      }
      if (number * SEGMENT_SECONDS < end) {
        await this.shelf.get(deck.piece, number, tracks);
      } else {
        await this.#until(turn, this.context.currentTime + 1);
      }
    }
  }

  async #until(turn, when) {
    while (turn === this.turn && this.context.currentTime < when) {
      const wait = Math.min(1, when - this.context.currentTime);
      await new Promise((resolve) => setTimeout(resolve, wait * 1000 + 5));
    }
  }

  /** Stops; the cursor stays where the music was. */
  stop() {
    this.rest = Math.min(this.position(), this.piece?.seconds ?? 0);
    this.turn += 1;
    this.deck?.end();
    this.deck = null;
    this.plan = [];
    this.playing = false;
    this.lacking = false;
    this.handlers.onState();
  }

  /** Stops, and lets the sound card rest until music is wanted again. */
  pause() {
    this.stop();
    setTimeout(() => !this.playing && this.context?.suspend(), 500);
  }
}

function onFrame(seconds) {
  return Math.round(seconds * RATE) / RATE;
}

function loudness(volume) {
  return volume ** 2 * 1.25;
}
