// A piece as the server tells it, made quick to ask: bars, beats, seconds, and notes by lane.

/** Shades of a lane's colour, softest first; a note's velocity picks one. */
export const NUM_SHADES = 4;

const KEYS = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/**
 * The first index whose value is above what is asked.
 * @param {ArrayLike<number>} values rising
 * @param {number} value
 * @param {number} [count] of values that are looked at
 * @returns {number}
 */
export function above(values, value, count = values.length) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** @param {number} pitch of MIDI @returns {string} such as "F♯4"; middle C is C4 */
export function pitchName(pitch) {
  return `${KEYS[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}

/** Notes of one lane in order of onset, parted by shade so that they are drawn with few changes of colour. */
export class LaneNotes {
  /** @param {Array<[number, number, number, number, number]>} rows pitch, onset, duration, velocity, index */
  constructor(rows = []) {
    this.count = 0;
    this.low = 127;
    this.high = 0;
    this.shades = Array.from({ length: NUM_SHADES }, () => ({
      onset: [],
      end: [],
      pitch: [],
      index: [],
      longest: 0,
    }));
    for (const row of rows) {
      this.add(...row);
    }
  }

  /** Adds a note; onsets rise, or the note is put where it belongs. */
  add(pitch, onset, duration, velocity, index) {
    const shade = this.shades[Math.min(NUM_SHADES - 1, (velocity * NUM_SHADES) >> 7)];
    const last = shade.onset.length - 1;
    if (last < 0 || shade.onset[last] <= onset) {
      shade.onset.push(onset);
      shade.end.push(onset + duration);
      shade.pitch.push(pitch);
      shade.index.push(index);
    } else {
      const place = above(shade.onset, onset);
      shade.onset.splice(place, 0, onset);
      shade.end.splice(place, 0, onset + duration);
      shade.pitch.splice(place, 0, pitch);
      shade.index.splice(place, 0, index);
    }
    shade.longest = Math.max(shade.longest, duration);
    this.count += 1;
    this.low = Math.min(this.low, pitch);
    this.high = Math.max(this.high, pitch);
  }

  /** Index of the note that sounds at a tick on a pitch (give or take `slack` of each), or -1. */
  at(tick, pitch, slack = 0) {
    for (const shade of this.shades) {
      for (let i = above(shade.onset, tick + slack) - 1; i >= 0; i -= 1) {
        if (shade.onset[i] < tick - shade.longest - slack) {
          break;
        }
        if (shade.pitch[i] === pitch && shade.end[i] + slack > tick) {
          return shade.index[i];
        }
      }
    }
    return -1;
  }
}

/** One piece. Bars and beats are counted from 0 here, and from 1 wherever a person reads them. */
export class Piece {
  /** @param {object} told the server's answer */
  constructor(told) {
    this.told = told;
    this.id = told.id;
    this.name = told.name;
    this.tracks = told.tracks;
    this.origin = told.origin;
    this.quarter = told.ticks_per_quarter;
    this.numBars = told.num_bars;
    this.starts = told.bars.start_ticks;
    this.numerators = told.bars.numerator;
    this.denominators = told.bars.denominator;
    this.tempos = told.tempos;
    this.seconds = told.seconds;
    this.endTicks = this.starts[this.starts.length - 1];
    this.numNotes = told.notes.pitch.length;
    this.beatsBefore = this.#countBeats();
    this.logProbs = new Map();
    (told.origin?.new_notes ?? []).forEach((note, i) => {
      this.logProbs.set(note, told.origin.log_probs?.[i] ?? null);
    });
  }

  #countBeats() {
    const before = [0];
    for (let bar = 0; bar < this.numBars; bar += 1) {
      const length = this.starts[bar + 1] - this.starts[bar];
      const begun = Math.ceil((length * this.denominators[bar]) / (4 * this.quarter));
      before.push(before[bar] + Math.min(begun, this.numerators[bar]));
    }
    return before;
  }

  /** @returns {number} all beats; a beat is the unit of its bar's denominator */
  get numBeats() {
    return this.beatsBefore[this.numBars];
  }

  /** The bar that a tick lies in, within the piece. */
  barAt(tick) {
    return Math.max(0, Math.min(this.numBars - 1, above(this.starts, tick) - 1));
  }

  /** The beat that a tick lies in, counted through the piece. */
  beatAt(tick) {
    const bar = this.barAt(tick);
    const count = this.beatsBefore[bar + 1] - this.beatsBefore[bar];
    const within = Math.floor(((tick - this.starts[bar]) * this.denominators[bar]) / (4 * this.quarter));
    return this.beatsBefore[bar] + Math.max(0, Math.min(count - 1, within));
  }

  /** Tick at which a beat begins; the number of beats gives the end. */
  beatTick(beat) {
    if (beat >= this.numBeats) {
      return this.endTicks;
    }
    const bar = above(this.beatsBefore, beat) - 1;
    const within = beat - this.beatsBefore[bar];
    return this.starts[bar] + Math.floor((within * 4 * this.quarter) / this.denominators[bar]);
  }

  /** Time of a tick in seconds. */
  secondsAt(tick) {
    const which = Math.max(0, above(this.tempos.ticks, tick) - 1);
    const since = tick - (this.tempos.ticks[which] ?? 0);
    return (this.tempos.seconds[which] ?? 0) + since * this.#secondsPerTick(which);
  }

  /** Tick of a time in seconds, with its fraction. */
  tickAt(seconds) {
    const which = Math.max(0, above(this.tempos.seconds, seconds) - 1);
    const since = seconds - (this.tempos.seconds[which] ?? 0);
    return (this.tempos.ticks[which] ?? 0) + since / this.#secondsPerTick(which);
  }

  #secondsPerTick(which) {
    return 60 / ((this.tempos.bpm[which] ?? 120) * this.quarter);
  }

  /** Where a tick is, as a person reads it: bar and beat. */
  placeOf(tick) {
    const bar = this.barAt(tick);
    const beat = ((tick - this.starts[bar]) * this.denominators[bar]) / (4 * this.quarter) + 1;
    return { bar: bar + 1, beat: Math.round(beat * 100) / 100 };
  }

  /** Which piece's sound a track has: where a candidate left a track as it was, that of its original. */
  soundOf(track) {
    const { kind, region, before } = this.origin ?? {};
    return kind === "midi.inpaint" && before && region && !region.tracks.includes(track) ? before : this.id;
  }

  /** A track's name for people. */
  nameOf(track) {
    const told = this.tracks[track];
    return told ? told.name || told.instrument || `Track ${track + 1}` : `Track ${track + 1}`;
  }

  /**
   * Notes by lane.
   * @param {(index: number, track: number, onset: number) => boolean} [wanted]
   * @returns {LaneNotes[]} one per track
   */
  lanes(wanted = null) {
    const lanes = this.tracks.map(() => new LaneNotes());
    const { track, pitch, onset_ticks: onset, duration_ticks: duration, velocity } = this.told.notes;
    for (let i = 0; i < pitch.length; i += 1) {
      if (wanted === null || wanted(i, track[i], onset[i])) {
        lanes[track[i]]?.add(pitch[i], onset[i], duration[i], velocity[i], i);
      }
    }
    return lanes;
  }

  /** One note by its index. */
  note(index) {
    const { track, pitch, onset_ticks: onset, duration_ticks: duration, velocity } = this.told.notes;
    return {
      track: track[index],
      pitch: pitch[index],
      onset: onset[index],
      duration: duration[index],
      velocity: velocity[index],
    };
  }
}
