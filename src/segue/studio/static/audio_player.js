// Plays a recording, or the one it was made of, at the same place: two <audio> elements.

/** Tells "change" (playing or not, which one) and "time". */
export class Player extends EventTarget {
  #audios = [new Audio(), new Audio()];
  #shifts = [0, 0];
  #has = [false, false];
  #chosen = 0;
  #frame = 0;
  #seconds = 0;
  #wanted = 0;

  /** A span [start, end] in seconds that is played again and again, or null. */
  loop = null;

  constructor() {
    super();
    for (const audio of this.#audios) {
      audio.preload = "auto";
      audio.addEventListener("ended", () => this.#ended(audio));
      audio.addEventListener("loadedmetadata", () => audio === this.#audio && this.seek(this.#wanted));
      audio.addEventListener("error", () => audio === this.#audio && audio.src && this.#failed());
    }
  }

  get #audio() {
    return this.#audios[this.#chosen];
  }

  /** Whether sound is coming, or about to. */
  get playing() {
    return !this.#audio.paused;
  }

  /** Where playback stands, in seconds of the recording (not of its source). */
  get time() {
    return this.#audio.readyState > 0 ? this.#audio.currentTime + this.#shifts[this.#chosen] : this.#wanted;
  }

  /** Whether the source is heard in place of the recording. */
  get hearsSource() {
    return this.#chosen === 1;
  }

  /**
   * @param {string|null} address of the recording
   * @param {number} seconds its duration
   */
  load(address, seconds) {
    this.pause();
    this.#chosen = 0;
    this.#seconds = seconds;
    this.#wanted = 0;
    this.#set(0, address, 0);
    this.#set(1, null, 0);
    this.#changed();
  }

  /**
   * @param {string|null} address of the source recording
   * @param {number} shift seconds of the recording at which its source begins
   */
  loadSource(address, shift) {
    this.#set(1, address, shift);
  }

  #set(index, address, shift) {
    const audio = this.#audios[index];
    this.#shifts[index] = shift;
    this.#has[index] = address !== null;
    if (address === null) {
      audio.removeAttribute("src");
    } else {
      audio.src = address;
    }
    audio.load();
  }

  /** Hears the recording (false) or its source (true), going on at the same place. */
  choose(source) {
    const index = source && this.#has[1] ? 1 : 0;
    if (index === this.#chosen) {
      return;
    }
    const { playing, time } = this;
    this.#audio.pause();
    this.#chosen = index;
    this.seek(time);
    if (playing) {
      this.play();
    }
    this.#changed();
  }

  async play() {
    if (!this.#has[this.#chosen]) {
      return;
    }
    if (this.loop && (this.time < this.loop[0] || this.time >= this.loop[1] - 0.01)) {
      this.seek(this.loop[0]);
    } else if (this.time >= this.#seconds - 0.02) {
      this.seek(0);
    }
    try {
      await this.#audio.play();
    } catch (error) {
      if (error.name !== "AbortError") {
        this.#failed();
      }
    }
    this.#changed();
    this.#watch();
  }

  pause() {
    this.#audio.pause();
    cancelAnimationFrame(this.#frame);
    this.#changed();
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.#wanted = Math.min(Math.max(0, seconds), this.#seconds);
    const audio = this.#audio;
    if (audio.readyState > 0) {
      const last = Number.isFinite(audio.duration) ? audio.duration : this.#seconds;
      audio.currentTime = Math.min(Math.max(0, this.#wanted - this.#shifts[this.#chosen]), last);
    }
    this.dispatchEvent(new Event("time"));
  }

  #watch() {
    cancelAnimationFrame(this.#frame);
    const step = () => {
      if (!this.playing) {
        return;
      }
      if (this.loop && this.time >= this.loop[1]) {
        this.seek(this.loop[0]);
      }
      this.dispatchEvent(new Event("time"));
      this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #ended(audio) {
    if (audio !== this.#audio) {
      return;
    }
    if (this.loop) {
      this.seek(this.loop[0]);
      this.play();
    }
    this.#changed();
    this.dispatchEvent(new Event("time"));
  }

  #failed() {
    this.dispatchEvent(new Event("failed"));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
