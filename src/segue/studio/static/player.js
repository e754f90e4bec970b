// Plays a piece from the stems that the server makes: fetched ahead, joined on the sample.

const RATE = 44100;
const SEGMENT_SECONDS = 4;
const AHEAD_SECONDS = 5;
const LEAD_SECONDS = 0.06;
const TAIL_SECONDS = 2;
const FADE_SECONDS = 0.012;
const MOST_BYTES = 256 * 2 ** 20;
const LEAST_LOOP = 0.05;

/** Sound of pieces by segment: audio buffers by track, the oldest given up when there are too many. */
class Shelf {
  constructor(api) {
    this.api = api;
    this.segments = new Map();
    this.bytes = 0;
  }

  /** @returns {Promise<Map<number, AudioBuffer>>} */
  get(piece, number) {
    const key = `${piece.id}:${number}`;
    const known = this.segments.get(key);
    if (known) {
      this.segments.delete(key);
      this.segments.set(key, known);
      return known.sound;
    }
    const entry = { sound: this.#fetch(piece, number), bytes: 0 };
    this.segments.set(key, entry);
    entry.sound.then(
      (sound) => this.#count(entry, sound),
      () => this.segments.delete(key),
    );
    return entry.sound;
  }

  #count(entry, sound) {
    entry.bytes = [...sound.values()].reduce((sum, buffer) => sum + buffer.length * 8, 0);
    this.bytes += entry.bytes;
    for (const [key, old] of this.segments) {
      if (this.bytes <= MOST_BYTES || old === entry) {
        break;
      }
      this.bytes -= old.bytes;
      this.segments.delete(key);
    }
  }

  async #fetch(piece, number) {
    const tracks = piece.tracks.filter((track) => track.num_notes > 0).map((track) => track.index);
    const start = number * SEGMENT_SECONDS;
    const end = Math.min(start + SEGMENT_SECONDS, lengthOf(piece));
    const sound = new Map();
    if (!tracks.length || end <= start) {
      return sound;
    }
    const query = `start=${start}&end=${end}&tracks=${tracks.join(",")}&rate=${RATE}`;
    const { buffer, headers } = await this.api.bytes(`/midi/pieces/${piece.id}/stems?${query}`);
    const frames = Number(headers.get("X-Segue-Frames"));
    for (const [i, track] of tracks.entries()) {
      if (i % 8 === 7) {
        await new Promise((resolve) => setTimeout(resolve));
      }
      sound.set(track, stereo(new Int16Array(buffer, i * frames * 4, frames * 2), frames));
    }
    return sound;
  }
}

function stereo(samples, frames) {
  const buffer = new AudioBuffer({ numberOfChannels: 2, length: Math.max(1, frames), sampleRate: RATE });
  const [left, right] = [buffer.getChannelData(0), buffer.getChannelData(1)];
  for (let i = 0; i < frames; i += 1) {
    left[i] = samples[2 * i] / 32768;
    right[i] = samples[2 * i + 1] / 32768;
  }
  return buffer;
}

/** Seconds of a piece with what it takes to fade. */
function lengthOf(piece) {
  return piece.seconds + TAIL_SECONDS;
}

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

  schedule(sound, offset, seconds, when) {
    for (const [track, buffer] of sound) {
      if (offset < buffer.duration) {
        const source = new AudioBufferSourceNode(this.player.context, { buffer });
        source.connect(this.gains.get(track));
        source.start(when, offset, seconds);
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

  end() {
    const now = this.player.context.currentTime;
    this.out.gain.cancelScheduledValues(now);
    this.out.gain.setTargetAtTime(0, now, FADE_SECONDS);
    for (const source of this.sources) {
      source.stop(now + 6 * FADE_SECONDS);
    }
    setTimeout(() => this.out.disconnect(), 400);
  }
}

export class Player {
  /**
   * @param {object} api
   * @param {{onState: () => void, onError: (error: Error) => void}} handlers
   */
  constructor(api, handlers) {
    this.handlers = handlers;
    this.shelf = new Shelf(api);
    this.context = null;
    this.piece = null;
    this.deck = null;
    this.playing = false;
    this.waiting = false;
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

  #wake() {
    if (!this.context) {
      this.context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
      this.master = new GainNode(this.context, { gain: this.volume });
      this.master.connect(this.context.destination);
    }
    return this.context.resume();
  }

  /** Loudness from 0 to 1. */
  setVolume(volume) {
    this.volume = volume;
    this.master?.gain.setTargetAtTime(volume ** 2 * 1.25, this.context.currentTime, 0.015);
  }

  /** Says anew which tracks are silent: at once, with the music going on. */
  setSilenced(silenced) {
    this.silenced = silenced;
    for (const [track, gain] of this.deck?.gains ?? []) {
      gain.gain.setTargetAtTime(silenced(track) ? 0 : 1, this.context.currentTime, 0.008);
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
    const { when, from, to } = this.plan[0];
    return Math.max(from, Math.min(to, from + now - when));
  }

  /** Places the cursor; goes on playing from there if it plays. */
  seek(seconds) {
    this.rest = Math.max(0, Math.min(seconds, this.piece ? this.piece.seconds : 0));
    if (this.playing) {
      this.play();
    }
  }

  /** Repeats from one time to another; null ends it. Where the music is outside, it goes on to the loop's end. */
  setLoop(span) {
    const usable = span && span[1] - span[0] >= LEAST_LOOP ? span.map(onFrame) : null;
    if (String(usable) === String(this.loop)) {
      return;
    }
    const here = this.position();
    this.loop = usable;
    if (this.playing) {
      this.rest = here;
      this.play();
    }
  }

  /** Takes another piece; if music plays, it goes over to it at the same place. */
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
    const turn = (this.turn += 1);
    try {
      await this.shelf.get(piece, Math.floor(this.position() / SEGMENT_SECONDS));
    } catch (error) {
      this.#fail(error, turn);
      return;
    }
    if (turn === this.turn && this.playing) {
      this.rest = Math.min(this.position(), piece.seconds);
      this.play();
    }
  }

  /** Fetches what would be heard first, so that it begins at once. */
  prepare(piece, seconds) {
    this.shelf.get(piece, Math.floor(seconds / SEGMENT_SECONDS)).catch(() => undefined);
  }

  /** Plays from where the cursor is. */
  async play() {
    if (!this.piece) {
      return;
    }
    const turn = (this.turn += 1);
    let from = onFrame(this.rest);
    if (from >= this.piece.seconds - LEAST_LOOP) {
      from = this.loop ? this.loop[0] : 0;
    }
    this.rest = from;
    this.plan = [];
    this.playing = true;
    this.waiting = true;
    const old = this.deck;
    this.handlers.onState();
    try {
      await this.#wake();
      const deck = new Deck(this, this.piece);
      const first = await this.shelf.get(this.piece, Math.floor((from + 1e-6) / SEGMENT_SECONDS));
      if (turn !== this.turn) {
        deck.out.disconnect();
        return;
      }
      old?.end();
      this.deck = deck;
      this.plan = [];
      await this.#fill(turn, deck, from, first);
    } catch (error) {
      this.#fail(error, turn);
    }
  }

  #fail(error, turn) {
    if (turn === this.turn) {
      this.stop();
      this.handlers.onError(error);
    }
  }

  async #fill(turn, deck, from, first) {
    let [next, sound, frame] = [from, first, null];
    const end = lengthOf(deck.piece);
    while (next < end) {
      const number = Math.floor((next + 1e-6) / SEGMENT_SECONDS);
      sound ??= await this.shelf.get(deck.piece, number);
      if (turn !== this.turn) {
        return;
      }
      const soonest = Math.ceil((this.context.currentTime + LEAD_SECONDS) * RATE);
      frame = frame === null ? soonest : Math.max(frame, soonest);
      const border = this.loop && next < this.loop[1] ? this.loop[1] : end;
      const until = Math.min((number + 1) * SEGMENT_SECONDS, border);
      deck.schedule(sound, next - number * SEGMENT_SECONDS, until - next, frame / RATE);
      this.plan.push({ when: frame / RATE, from: next, to: until });
      frame += Math.round((until - next) * RATE);
      next = until;
      if (this.loop && until === border && border !== end) {
        next = this.loop[0];
        deck.dip(frame / RATE);
      }
      this.#heard();
      sound = null;
      await this.#until(turn, frame / RATE - AHEAD_SECONDS);
    }
    await this.#until(turn, frame / RATE);
    if (turn === this.turn) {
      this.stop();
      this.rest = 0;
      this.handlers.onState();
    }
  }

  #heard() {
    if (this.waiting) {
      this.waiting = false;
      this.handlers.onState();
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
    this.waiting = false;
    this.handlers.onState();
  }

  /** Ends everything and lets the sound card go. */
  async close() {
    this.stop();
    await this.context?.close();
    this.context = null;
  }
}

function onFrame(seconds) {
  return Math.round(seconds * RATE) / RATE;
}
