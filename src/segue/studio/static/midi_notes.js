// One note after the other: which new note is chosen, and what is said of it.

import { noteText } from "./midi_likelihood.js";
import { freshNotes } from "./midi_scene.js";

export class Notes {
  /** @param {Room} room */
  constructor(room) {
    this.room = room;
    this.chosen = -1;
  }

  /** Chooses a new note by its index, or the next or previous one. */
  choose(index, step = 0) {
    const { room } = this;
    const notes = freshNotes(room.scene);
    if (!notes.length || room.side !== "candidate") {
      room.say("There are no new notes to go through.");
      return;
    }
    const at = notes.indexOf(this.chosen);
    const first = step > 0 ? 0 : notes.length - 1;
    this.chosen = index ?? notes[at < 0 ? first : (at + step + notes.length) % notes.length];
    const { onset, duration, track } = room.scene.shown.note(this.chosen);
    room.results.say(this.textOf({ kind: "fresh", index: this.chosen }));
    room.roll.scene.chosenNote = this.chosen;
    room.roll.reveal(onset, onset + duration, [track]);
  }

  /** Chooses none. */
  clear() {
    this.chosen = -1;
    this.room.results.say("");
  }

  /** A note in words. */
  textOf({ kind, index }) {
    const { run, scene } = this.room;
    return noteText(kind === "ghost" ? run.canvas : scene.shown, index, kind);
  }
}
