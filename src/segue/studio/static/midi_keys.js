// Keys that work anywhere in the symbolic room, unless a control wants them for itself.

import { isTyping } from "./ui.js";

const HOLD_MS = 350;

/**
 * @param {Room} room
 * @returns {() => void} stops listening
 */
export function listenToKeys(room) {
  const stop = new AbortController();
  let heldSince = 0;
  const onDown = (event) => {
    if (event.defaultPrevented || isTyping(event) || event.altKey) {
      return;
    }
    if (event.ctrlKey || event.metaKey) {
      history(room, event);
      return;
    }
    if (event.key.toLowerCase() === "b" && !event.repeat) {
      heldSince = performance.now();
    }
    const act = event.repeat ? null : actOf(room, event);
    if (act) {
      event.preventDefault();
      act();
    }
  };
  const onUp = (event) => {
    if (event.key.toLowerCase() === "b" && heldSince && performance.now() - heldSince > HOLD_MS) {
      room.compare();
    }
    heldSince = event.key.toLowerCase() === "b" ? 0 : heldSince;
  };
  document.addEventListener("keydown", onDown, { signal: stop.signal });
  document.addEventListener("keyup", onUp, { signal: stop.signal });
  return () => stop.abort();
}

function actOf(room, event) {
  if (event.key === " ") {
    const own = event.target instanceof Element && event.target.closest("button, a, summary, label");
    return own ? null : () => room.sound.playOrStop();
  }
  if (/^[1-9]$/.test(event.key)) {
    const tab = room.results.tabs.children[Number(event.key) - 1];
    return tab && room.run ? () => tab.click() : null;
  }
  return {
    b: () => room.compare(),
    k: () => room.keep(),
    l: () => room.toggle("loop"),
    f: () => room.toggle("follow"),
    p: () => room.placeAtMark(),
    m: () => room.toggle("tool"),
  }[event.key.toLowerCase()];
}

function history(room, event) {
  const key = event.key.toLowerCase();
  if (key === "z" || key === "y") {
    event.preventDefault();
    room.step(key === "y" || event.shiftKey ? 1 : -1);
  }
}
