// The symbolic room: see the piece, mark the hole, hear the candidates.

import { Room } from "./midi_room.js";

/** Keys of this room, for the help dialog. */
export const shortcuts = [
  { keys: ["Space"], text: "Play or stop" },
  { keys: ["Drag"], text: "Mark bars and lanes; with Ctrl by beats, with Shift from the mark that is there" },
  { keys: ["←", "→", "↑", "↓"], text: "On the roll: move the mark; with Shift grow it, with Ctrl by beats" },
  { keys: ["Home", "End"], text: "On the roll: mark at the first or last bar" },
  { keys: ["A", "Ctrl+A"], text: "On the roll: all tracks; the whole piece" },
  { keys: ["Enter"], text: "On the roll: write into the mark" },
  { keys: ["1", "9"], text: "Candidates 1 to 9" },
  { keys: ["B"], text: "Original or candidate; hold to compare" },
  { keys: ["K"], text: "Keep the candidate" },
  { keys: [",", "."], text: "On the roll: previous and next new note" },
  { keys: ["Ctrl+Z", "Ctrl+Shift+Z"], text: "Undo and redo" },
  { keys: ["P"], text: "Place the cursor at the mark" },
  { keys: ["L", "F", "M"], text: "Repeat the marked bars; follow the music; drag moves the view" },
  { keys: ["+", "−", "0"], text: "On the roll: zoom in time; the whole piece" },
  { keys: ["[", "]"], text: "On the roll: lower and taller lanes" },
  { keys: ["Two fingers"], text: "Scroll and zoom; one finger marks, or moves the view where Move is on" },
  { keys: ["Wheel"], text: "Scroll; with Shift in time, with Ctrl zoom, with Ctrl+Shift taller lanes" },
];

let room = null;

/**
 * Shows the room; what it held before is still there.
 * @param {HTMLElement} root
 * @param {{api: object, info: object, ui: object}} context
 */
export async function mount(root, context) {
  const isNew = room === null;
  room ??= new Room(context);
  root.append(room.node);
  room.attach();
  // The room can be left while its first piece is still on its way.
  (isNew ? room.begin() : room.openNamed()).catch((error) => context.ui.toast(error.message, { kind: "error" }));
  return {
    unmount() {
      room.detach();
    },
  };
}
