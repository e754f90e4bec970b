// The line that shows where the music is.

import { element } from "./ui.js";

const TURN_AT = 0.85;
const LAND_AT = 0.12;

export class Cursor {
  /** @param {Roll} roll */
  constructor(roll) {
    this.roll = roll;
    this.tick = 0;
    this.node = element("div", { class: "roll-cursor", "aria-hidden": "true" });
    roll.node.append(this.node);
  }

  /**
   * Moves the line.
   * @param {number} tick
   * @param {{follow?: boolean}} [options] follow: turn the page when it comes to the edge
   */
  move(tick, { follow = false } = {}) {
    this.tick = tick;
    const { view } = this.roll;
    const x = (tick - view.left) * view.scale;
    if (follow && view.width && (x > view.width * TURN_AT || x < 0)) {
      this.roll.scrollTo(tick - (view.width * LAND_AT) / view.scale);
    }
    this.place();
  }

  /** Puts the line where it belongs in the present view. */
  place() {
    const { view, window: frame } = this.roll;
    const x = (this.tick - view.left) * view.scale;
    this.node.hidden = x < -1 || x > view.width + 1 || !this.roll.scene.piece;
    this.node.style.transform = `translateX(${frame.offsetLeft + x}px)`;
  }
}
