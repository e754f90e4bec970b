// What the piece was, is, and was before undo: a list of pieces on the server, each with what led to it.

const MOST = 200;
const KEY = "segue.midi.history";

export class History {
  constructor() {
    this.entries = [];
    this.index = -1;
  }

  /** @returns {{id: string, label: string}|null} */
  get current() {
    return this.entries[this.index] ?? null;
  }

  get canUndo() {
    return this.index > 0;
  }

  get canRedo() {
    return this.index < this.entries.length - 1;
  }

  /** What undo would take back, in words. */
  get undoLabel() {
    return this.canUndo ? this.current.label : "";
  }

  /** What redo would bring again, in words. */
  get redoLabel() {
    return this.canRedo ? this.entries[this.index + 1].label : "";
  }

  /** Goes on with another piece; what had been undone is given up. */
  push(id, label) {
    this.entries = [...this.entries.slice(0, this.index + 1), { id, label }].slice(-MOST);
    this.index = this.entries.length - 1;
    this.#save();
  }

  /** Makes one entry current; null where there is none. */
  goTo(index) {
    if (index < 0 || index >= this.entries.length) {
      return null;
    }
    this.index = index;
    this.#save();
    return this.current;
  }

  #save() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify({ entries: this.entries, index: this.index }));
    } catch {
      // Storage is closed to this page: the history lasts until the page is left.
    }
  }

  /** Takes up what this tab had before the page was loaded again. */
  restore() {
    try {
      const { entries, index } = JSON.parse(sessionStorage.getItem(KEY) ?? "null") ?? {};
      if (Array.isArray(entries) && entries[index]) {
        Object.assign(this, { entries, index });
      }
    } catch {
      // Nothing usable is stored.
    }
    return this.current;
  }

  /** Forgets everything, as when the server no longer has the pieces. */
  clear() {
    Object.assign(this, { entries: [], index: -1 });
    this.#save();
  }
}
