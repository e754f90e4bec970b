// Sound of pieces as the server makes it: fetched by segment and track, each once, the oldest given up.

/** Frames per second. */
export const RATE = 44100;
/** Length of what is fetched at once. */
export const SEGMENT_SECONDS = 4;
// Time that a piece takes to fade after its last note.
const TAIL_SECONDS = 2;

const BYTES_PER_FRAME = 4;
const MOST_BYTES = 256 * 2 ** 20;
const MOST_REQUEST_BYTES = 24 * 2 ** 20;

/** Seconds of a piece with what it takes to fade. */
export function lengthOf(piece) {
  return piece.seconds + TAIL_SECONDS;
}

/** The segment that a time lies in. */
export function segmentAt(seconds) {
  return Math.floor((seconds + 1e-6) / SEGMENT_SECONDS);
}

/** Sound by piece, segment and track. Tracks that a candidate left as they were are those of its original. */
export class SoundShelf {
  /** @param {object} api */
  constructor(api) {
    this.api = api;
    this.entries = new Map();
    this.bytes = 0;
  }

  /**
   * The sound of some tracks in a segment; what is not here yet is fetched.
   * @param {Piece} piece
   * @param {number} number of the segment
   * @param {number[]} tracks
   * @returns {Promise<Map<number, Int16Array>>} by track: left and right in turn
   */
  async get(piece, number, tracks) {
    const wanted = number * SEGMENT_SECONDS < lengthOf(piece) ? tracks : [];
    const missing = wanted.filter((track) => !this.entries.has(keyOf(piece, number, track)));
    for (const [id, some] of grouped(missing, (track) => piece.soundOf(track))) {
      this.#ask(piece, id, number, some);
    }
    const entries = wanted.map((track) => this.#use(keyOf(piece, number, track)));
    const sounds = await Promise.all(entries.map((entry) => entry.sound));
    return new Map(wanted.map((track, i) => [track, sounds[i]]));
  }

  /** Whether a segment has been asked for. */
  has(piece, number, tracks) {
    return tracks.every((track) => this.entries.has(keyOf(piece, number, track)));
  }

  #use(key) {
    const entry = this.entries.get(key);
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry;
  }

  #ask(piece, id, number, tracks) {
    const most = Math.max(1, Math.floor(MOST_REQUEST_BYTES / (SEGMENT_SECONDS * RATE * BYTES_PER_FRAME)));
    for (let first = 0; first < tracks.length; first += most) {
      const some = tracks.slice(first, first + most);
      const answer = this.#fetch(piece, id, number, some);
      some.forEach((track, i) => this.#keep(keyOf(piece, number, track), answer.then((sounds) => sounds[i])));
    }
  }

  #keep(key, sound) {
    const entry = { sound, bytes: 0 };
    this.entries.set(key, entry);
    sound.then(
      (samples) => {
        entry.bytes = samples.byteLength;
        this.bytes += entry.bytes;
        this.#shrink(entry);
      },
      () => this.entries.get(key) === entry && this.entries.delete(key),
    );
  }

  #shrink(newest) {
    for (const [key, old] of this.entries) {
      if (this.bytes <= MOST_BYTES || old === newest) {
        break;
      }
      if (old.bytes) {
        this.bytes -= old.bytes;
        this.entries.delete(key);
      }
    }
  }

  async #fetch(piece, id, number, tracks) {
    const start = number * SEGMENT_SECONDS;
    const end = Math.min(start + SEGMENT_SECONDS, lengthOf(piece));
    const query = `start=${start}&end=${end}&tracks=${tracks.join(",")}&rate=${RATE}`;
    let answer;
    try {
      answer = await this.api.bytes(`/midi/pieces/${id}/stems?${query}`);
    } catch (error) {
      if (error.status !== 404 || id === piece.id) {
        throw error;
      }
      // The original is no longer there; the candidate has all its tracks too.
      answer = await this.api.bytes(`/midi/pieces/${piece.id}/stems?${query}`);
    }
    const frames = Number(answer.headers.get("X-Segue-Frames"));
    return tracks.map((_, i) => new Int16Array(answer.buffer, i * frames * BYTES_PER_FRAME, frames * 2));
  }
}

function keyOf(piece, number, track) {
  return `${piece.soundOf(track)}:${number}:${track}`;
}

function grouped(items, keyOfItem) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOfItem(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

/** @param {Int16Array} samples left and right in turn @returns {AudioBuffer} */
export function stereo(samples) {
  const frames = samples.length / 2;
  const buffer = new AudioBuffer({ numberOfChannels: 2, length: Math.max(1, frames), sampleRate: RATE });
  const [left, right] = [buffer.getChannelData(0), buffer.getChannelData(1)];
  for (let i = 0; i < frames; i += 1) {
    left[i] = samples[2 * i] / 32768;
    right[i] = samples[2 * i + 1] / 32768;
  }
  return buffer;
}
