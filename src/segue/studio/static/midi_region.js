// The hole: which tracks, from where to where. Always whole bars or whole beats of a piece.

/**
 * A region of a piece.
 * @typedef {{tracks: number[], unit: "bars"|"beats", first: number, last: number}} Region
 *   `first` and `last` are counted from 0, both included
 */

/** @returns {number} how many bars or beats a piece has */
export function countOf(piece, unit) {
  return unit === "bars" ? piece.numBars : piece.numBeats;
}

/** @returns {[number, number]} ticks of a region's ends */
export function ticksOf(piece, region) {
  return region.unit === "bars"
    ? [piece.starts[region.first], piece.starts[region.last + 1]]
    : [piece.beatTick(region.first), piece.beatTick(region.last + 1)];
}

/**
 * The region between two corners, in any order.
 * @param {Piece} piece
 * @param {{tick: number, track: number}} from
 * @param {{tick: number, track: number}} to
 * @param {"bars"|"beats"} unit
 * @returns {Region}
 */
export function between(piece, from, to, unit) {
  const at = (tick) => (unit === "bars" ? piece.barAt(tick) : piece.beatAt(tick));
  const [first, last] = [at(from.tick), at(to.tick)].sort((a, b) => a - b);
  const [top, bottom] = [from.track, to.track].sort((a, b) => a - b);
  const tracks = piece.tracks.map((_, i) => i).filter((i) => i >= top && i <= bottom);
  return { tracks, unit, first, last };
}

/** The same span in the other unit, grown to whole bars where beats become bars. */
export function inUnit(piece, region, unit) {
  if (region.unit === unit) {
    return region;
  }
  const [start, end] = ticksOf(piece, region);
  const at = (tick) => (unit === "bars" ? piece.barAt(tick) : piece.beatAt(tick));
  return { ...region, unit, first: at(start), last: at(end - 1) };
}

/** A region that lies within a piece, or null where none of it does. */
export function fitted(piece, region) {
  if (region === null || piece === null) {
    return null;
  }
  const tracks = region.tracks.filter((track) => track >= 0 && track < piece.tracks.length);
  const most = countOf(piece, region.unit) - 1;
  const first = Math.max(0, Math.min(region.first, most));
  const last = Math.max(first, Math.min(region.last, most));
  return tracks.length && most >= 0 ? { ...region, tracks, first, last } : null;
}

/** A region moved by some units of time and some tracks, as far as the piece goes. */
export function moved(piece, region, { by = 0, tracks = 0 }) {
  const most = countOf(piece, region.unit) - 1;
  const shift = Math.max(-region.first, Math.min(by, most - region.last));
  const low = Math.min(...region.tracks);
  const high = Math.max(...region.tracks);
  const lanes = Math.max(-low, Math.min(tracks, piece.tracks.length - 1 - high));
  return {
    ...region,
    first: region.first + shift,
    last: region.last + shift,
    tracks: region.tracks.map((track) => track + lanes),
  };
}

/** A region whose end moves, and whose lowest track does. */
export function grown(piece, region, { by = 0, tracks = 0 }) {
  const last = Math.max(region.first, region.last + by);
  const low = Math.min(...region.tracks);
  const high = Math.max(...region.tracks);
  let chosen = region.tracks;
  if (tracks !== 0) {
    const bottom = Math.max(low, Math.min(high + tracks, piece.tracks.length - 1));
    chosen = piece.tracks.map((_, i) => i).filter((i) => i >= low && i <= bottom);
  }
  return fitted(piece, { ...region, last, tracks: chosen });
}

/** What the server is asked for. */
export function asked(region) {
  return { [region.unit]: `${region.first + 1}-${region.last + 1}`, tracks: region.tracks };
}

/** A region from the server's ticks. */
export function told(piece, { tracks, start_ticks: start, end_ticks: end }) {
  const first = piece.barAt(start);
  const last = piece.barAt(end - 1);
  const whole = piece.starts[first] === start && piece.starts[last + 1] === end;
  return whole
    ? { tracks: [...tracks], unit: "bars", first, last }
    : { tracks: [...tracks], unit: "beats", first: piece.beatAt(start), last: piece.beatAt(end - 1) };
}

/** A span in words: "Bars 9 to 12". */
export function spanText({ unit, first, last }) {
  const word = unit === "bars" ? "Bar" : "Beat";
  return first === last ? `${word} ${first + 1}` : `${word}s ${first + 1} to ${last + 1}`;
}

/** A region in words: "Bars 9 to 12, Violin I". */
export function regionText(piece, region) {
  if (region === null) {
    return "Nothing is marked";
  }
  return `${spanText(region)}, ${tracksText(piece, region.tracks)}`;
}

/** Tracks in words. */
export function tracksText(piece, tracks) {
  if (tracks.length > 1 && tracks.length === piece.tracks.length) {
    return "all tracks";
  }
  const names = tracks.slice(0, 3).map((track) => piece.nameOf(track));
  const more = tracks.length - names.length;
  return more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
}

/** Whether two regions are the same. */
export function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A region with another track: that one alone, or put in or taken out. */
export function withTrack(piece, region, track, extend) {
  const span = region ?? { unit: "bars", first: 0, last: piece.numBars - 1, tracks: [] };
  if (!extend) {
    return { ...span, tracks: [track] };
  }
  const had = span.tracks.includes(track);
  const tracks = had ? span.tracks.filter((one) => one !== track) : [...span.tracks, track];
  return { ...span, tracks: tracks.sort((a, b) => a - b) };
}

/**
 * A region after a key: moved, grown, at an end of the piece, or on all tracks.
 * @param {Piece} piece
 * @param {Region|null} region where there is none, the first track's bar `here`
 * @param {{by?: number, tracks?: number, grow?: boolean, beats?: boolean,
 *   to?: "start"|"end"|"tracks"|"all"|null}} step
 * @param {number} here
 * @returns {Region}
 */
export function stepped(piece, region, { by = 0, tracks = 0, grow = false, beats = false, to = null }, here) {
  const all = piece.tracks.map((_, i) => i);
  const start = region ?? { tracks: [0], unit: "bars", first: here, last: here };
  const now = beats ? inUnit(piece, start, "beats") : start;
  const most = countOf(piece, now.unit);
  switch (to) {
    case "all":
      return { tracks: all, unit: "bars", first: 0, last: piece.numBars - 1 };
    case "tracks":
      return { ...now, tracks: all };
    case "start":
      return moved(piece, now, { by: -most });
    case "end":
      return moved(piece, now, { by: most });
    default:
      return region === null ? now : (grow ? grown : moved)(piece, now, { by, tracks });
  }
}
