// The piece that is open, its history, and the ways it comes and goes.

import { element } from "./ui.js";
import { History } from "./history.js";
import { Piece } from "./midi_piece.js";

const MOST_PIECES = 24;
const FILES = { midi: ["file", "mid"], wav: ["sound?format=wav", "wav"], png: ["picture", "png"] };

export class Desk {
  /** @param {object} api */
  constructor(api) {
    this.api = api;
    this.history = new History();
    this.piece = null;
    this.known = new Map();
  }

  #remember(piece) {
    this.known.delete(piece.id);
    this.known.set(piece.id, piece);
    for (const id of this.known.keys()) {
      if (this.known.size <= MOST_PIECES) {
        break;
      }
      this.known.delete(id);
    }
    return piece;
  }

  /** A piece by its id. */
  async load(id) {
    return this.known.get(id) ?? this.#remember(new Piece(await this.api.get(`/midi/pieces/${id}`)));
  }

  /** A piece from a file. */
  async upload(file) {
    return this.#remember(new Piece(await this.api.upload("/midi/pieces", file)));
  }

  /** A piece that comes with Segue. */
  async demo(name) {
    return this.#remember(new Piece(await this.api.post(`/midi/pieces/demo?name=${encodeURIComponent(name)}`)));
  }

  /** Makes a piece the one that is open. */
  adopt(piece, label) {
    this.piece = this.#remember(piece);
    if (this.history.current?.id !== piece.id) {
      this.history.push(piece.id, label);
    }
  }

  /** Goes through the history; 0 takes up what is current. Returns the entry, or null at its ends. */
  async goTo(by) {
    const entry = this.history.entries[this.history.index + by];
    if (!entry) {
      return null;
    }
    this.piece = await this.load(entry.id);
    return this.history.goTo(this.history.index + by);
  }

  /** Puts a piece on the shelf, where it is not there yet. */
  async shelve(id) {
    try {
      await this.api.put(`/shelf/${id}`);
    } catch (error) {
      // A server that knows no such request has put it there itself.
      if (error.status !== 404 && error.status !== 405) {
        throw error;
      }
    }
  }

  /** Downloads a piece as midi, wav or png, under the name that the server gives it. */
  async save(id, kind) {
    const [path, ending] = FILES[kind];
    const { buffer, headers } = await this.api.bytes(`/midi/pieces/${id}/${path}`);
    const address = URL.createObjectURL(new Blob([buffer], { type: headers.get("Content-Type") ?? "" }));
    const name = nameIn(headers.get("Content-Disposition")) ?? `piece.${ending}`;
    const link = element("a", { href: address, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }
}

function nameIn(disposition) {
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  return coded ? decodeURIComponent(coded) : /filename="?([^";]+)"?/i.exec(disposition ?? "")?.[1];
}
