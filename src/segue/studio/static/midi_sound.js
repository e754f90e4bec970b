// What is heard: the player, which tracks are silent, and the cursor that moves with the music.

import { Player } from "./player.js";

export class Sound {
  /** @param {Room} room */
  constructor(room) {
    this.room = room;
    this.muted = new Set();
    this.soloed = new Set();
    this.ticking = 0;
    this.player = new Player(room.api, {
      onState: () => this.#playing(),
      onError: (error) => room.context.ui.toast(`The music cannot be played. ${error.message}`, { kind: "error" }),
    });
  }

  /** Whether a track is not heard: muted, or others are soloed. */
  isSilent(track) {
    return this.muted.has(track) || (this.soloed.size > 0 && !this.soloed.has(track));
  }

  /** Makes all tracks heard again, as for another piece. */
  clear() {
    this.muted.clear();
    this.soloed.clear();
  }

  /** Mutes or soloes a track, or takes it back. @param {"muted"|"soloed"} how */
  silence(how, track) {
    const { room } = this;
    this[how].has(track) ? this[how].delete(track) : this[how].add(track);
    room.scene.lanes.forEach((lane, i) => (lane.dim = this.isSilent(i)));
    room.roll.heads.show(room.scene);
    room.roll.redraw("lanes");
    room.showMarks();
    this.player.setSilenced((one) => this.isSilent(one));
  }

  /** Plays, or stops. */
  playOrStop() {
    const { player } = this;
    if (!player.playing && !this.room.scene.shown?.numNotes) {
      this.room.say("There are no notes to play.");
      return;
    }
    if (player.playing) {
      player.stop();
      return;
    }
    const here = player.position();
    if (player.loop && (here < player.loop[0] || here >= player.loop[1])) {
      [player.rest] = player.loop;
    }
    player.play();
  }

  /** Places the cursor, in seconds. */
  seek(seconds, reveal = false) {
    const { scene, roll } = this.room;
    this.player.seek(seconds);
    this.showPlace();
    if (reveal && scene.piece) {
      const tick = scene.piece.tickAt(seconds);
      roll.reveal(tick, tick);
    }
  }

  /** Places the cursor at a tick; while it is dragged, only the line moves. */
  place(tick, final) {
    const { piece } = this.room.scene;
    if (final) {
      this.seek(piece.secondsAt(Math.max(0, Math.min(tick, piece.endTicks))));
    } else {
      this.room.roll.cursor.move(tick);
    }
  }

  #playing() {
    this.room.transport?.showState(this.player);
    if (this.player.playing && !this.ticking) {
      const tick = () => {
        this.ticking = this.player.playing ? requestAnimationFrame(tick) : 0;
        this.showPlace(true);
      };
      this.ticking = requestAnimationFrame(tick);
    }
  }

  /** Shows where the music is. */
  showPlace(moving = false) {
    const { scene, roll, overview, transport, switches } = this.room;
    if (!scene?.piece) {
      return;
    }
    const seconds = this.player.position();
    const tick = scene.piece.tickAt(seconds);
    roll.cursor.move(tick, { follow: moving && switches.follow });
    overview.setCursor(tick);
    transport.showPlace(scene.piece, seconds);
  }
}
