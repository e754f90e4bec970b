// The mark on the roll: where it comes from (drags, heads, fields, keys), and what follows from it.

import * as regions from "./midi_region.js";

export class Marker {
  /** @param {Room} room */
  constructor(room) {
    this.room = room;
    this.corner = null;
  }

  /**
   * Marks a region; null marks nothing.
   * @param {Region|null} region
   * @param {{final?: boolean}} [options] final: false while it is still being dragged
   */
  set(region, { final = true } = {}) {
    const { room } = this;
    const { piece } = room.desk;
    if (!piece) {
      return;
    }
    if (!room.isOnOwnBars()) {
      if (final) {
        room.tell("Keep or discard the candidates first: then other bars can be marked.");
      }
      return;
    }
    room.region = regions.fitted(piece, region);
    room.panel.setRegion(room.region);
    room.showMarks({ final });
    if (final) {
      room.say(regions.regionText(piece, room.region));
    }
  }

  /** Marks what lies between two corners of a drag. */
  drag(from, to, { unit, extend, final }) {
    const { room } = this;
    this.corner = (extend && room.region ? this.corner : from) ?? from;
    room.panel.setMode("inpaint");
    this.set(regions.between(room.desk.piece, this.corner, to, unit), { final });
  }

  /** Marks a track, or puts it in or takes it out. */
  track(track, extend) {
    const { piece } = this.room.desk;
    if (piece) {
      this.set(regions.withTrack(piece, this.room.region, track, extend));
    }
  }

  /** Moves or grows the mark by a key. */
  step(step) {
    const { room } = this;
    const { piece } = room.desk;
    const { view } = room.roll;
    room.panel.setMode("inpaint");
    this.set(regions.stepped(piece, room.region, step, piece.barAt(view.left + 1 / view.scale)));
    if (room.region) {
      room.roll.reveal(...regions.ticksOf(piece, room.region), room.region.tracks);
    }
  }
}
