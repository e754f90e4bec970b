// Below the waveform: playback, the span in numbers, zoom and scroll.

/** The controls of a recording. `room` has player, wave and recording. */
export class Transport {
  #ui;
  #room;
  #source = null;
  #looping = false;

  /**
   * @param {{ui: object}} context
   * @param {object} room
   */
  constructor({ ui }, room) {
    this.#ui = ui;
    this.#room = room;
    this.node = ui.element("div", { class: "transport" }, this.#buildPlay(), this.#buildSpan(), this.#buildZoom());
    this.#connect();
  }

  /** The recording that this one was made of; null where there is none, or it has been deleted. */
  set source(value) {
    this.#source = value;
    this.show();
  }

  #buildPlay() {
    const { button, element } = this.#ui;
    const { player } = this.#room;
    this.start = button({ icon: "start", title: "To the beginning", onClick: () => this.#toStart() });
    this.playing = button({ icon: "play", title: "Play (Space)", kind: "primary", onClick: () => player.toggle() });
    this.loop = button({ icon: "loop", title: "Loop over the span, or over everything (L)", pressed: false, onClick: () => this.toggleLoop() });
    this.time = element("output", { class: "time mono", "aria-label": "Time", text: "0:00.0 / 0:00.0" });
    this.result = button({ label: "Result", title: "Hear the result", pressed: true, onClick: () => this.#hear(false) });
    this.original = button({ label: "Source", title: "Hear what it was made of, at the same place (B)", pressed: false, onClick: () => this.#hear(true) });
    const compare = element("div", { class: "group", role: "group", "aria-label": "Compare" }, this.result, this.original);
    return element("div", { class: "row" }, this.start, this.playing, this.loop, this.time, compare);
  }

  #buildSpan() {
    const { button, element, field } = this.#ui;
    const edge = (label, index) => field({ label, type: "number", min: 0, step: 0.01, onChange: (value) => this.#typed(index, value) });
    this.edges = [edge("Span from", 0), edge("to", 1)];
    this.length = element("output", { class: "soft span-length", "aria-label": "Length of the span" });
    this.clear = button({ icon: "close", title: "Take the mark away (Esc)", kind: "quiet", onClick: () => (this.#room.wave.span = null) });
    this.closer = button({ icon: "fit", title: "Show the span", kind: "quiet", onClick: () => this.#room.wave.fitSpan() });
    return element("div", { class: "row span-row" }, this.edges, this.length, this.clear, this.closer);
  }

  #buildZoom() {
    const { button, element } = this.#ui;
    const { wave } = this.#room;
    this.scroll = element("input", { type: "range", min: "0", max: "1000", step: "1", value: "0", "aria-label": "Scroll", on: { input: () => this.#scrolled() } });
    this.zooms = [
      button({ icon: "minus", title: "Zoom out (-)", onClick: () => wave.zoom(1 / 1.5) }),
      button({ icon: "plus", title: "Zoom in (+)", onClick: () => wave.zoom(1.5) }),
      button({ label: "All", title: "Show all of it (0)", onClick: () => wave.fit() }),
    ];
    return element("div", { class: "row zoom-row" }, this.scroll, element("div", { class: "group", role: "group", "aria-label": "Zoom" }, this.zooms));
  }

  #connect() {
    const { player, wave } = this.#room;
    player.addEventListener("change", () => this.show());
    player.addEventListener("time", () => this.#showTime());
    wave.addEventListener("view", () => this.#showView());
  }

  /** Shows what is open, marked and heard. */
  show() {
    const { player, recording, wave } = this.#room;
    const { span } = wave;
    const none = !recording;
    for (const each of [this.start, this.playing, this.loop, ...this.zooms, this.result, ...this.edges.map((edge) => edge.input)]) {
      each.disabled = none;
    }
    this.original.disabled = none || !this.#source;
    this.original.title = this.#source ? `Hear ${this.#source.name}, at the same place (B)` : "There is no source to compare with";
    this.#ui.setIcon(this.playing, player.playing ? "pause" : "play", player.playing ? "Pause (Space)" : "Play (Space)");
    this.#ui.setPressed(this.loop, this.#looping);
    this.#ui.setPressed(this.result, !player.hearsSource);
    this.#ui.setPressed(this.original, player.hearsSource);
    this.#showSpan(span);
    player.loop = this.#looping && recording ? (span ?? [0, recording.seconds]) : null;
    this.#showTime();
    this.#showView();
  }

  #showSpan(span) {
    const seconds = this.#room.recording?.seconds ?? 0;
    this.edges.forEach((edge, index) => {
      edge.input.max = seconds.toFixed(3);
      edge.input.value = span ? span[index].toFixed(2) : "";
    });
    this.length.textContent = span ? `${(span[1] - span[0]).toFixed(2)} s` : "no span";
    this.clear.disabled = this.closer.disabled = !span;
  }

  #showTime() {
    const { player, recording } = this.#room;
    const { formatTime } = this.#ui;
    this.time.textContent = `${formatTime(recording ? player.time : 0)} / ${formatTime(recording?.seconds ?? 0)}`;
  }

  #showView() {
    const { recording, wave } = this.#room;
    const { start, end } = wave.view;
    const room = (recording?.seconds ?? 0) - (end - start);
    this.scroll.disabled = room <= 1e-6;
    this.scroll.value = room > 1e-6 ? String((1000 * start) / room) : "0";
    this.scroll.setAttribute("aria-valuetext", `${start.toFixed(1)} to ${end.toFixed(1)} seconds`);
  }

  #scrolled() {
    const { recording, wave } = this.#room;
    const { start, end } = wave.view;
    wave.scrollTo((Number(this.scroll.value) / 1000) * (recording.seconds - (end - start)));
  }

  #toStart() {
    const { player, wave } = this.#room;
    player.seek(0);
    wave.scrollTo(0);
  }

  toggleLoop() {
    this.#looping = !this.#looping;
    this.show();
  }

  toggleSource() {
    if (this.#source) {
      this.#hear(!this.#room.player.hearsSource);
    }
  }

  #hear(source) {
    this.#room.player.choose(source);
  }

  /** Begins (0) or ends (1) the span at the cursor. */
  mark(index) {
    const { recording, wave } = this.#room;
    const span = wave.span ? [...wave.span] : [wave.cursor, wave.cursor];
    span[index] = wave.cursor;
    if (!wave.span || span[0] >= span[1]) {
      span[1 - index] = index === 0 ? recording.seconds : 0;
    }
    wave.span = span;
  }

  #typed(index, value) {
    const { recording, wave } = this.#room;
    const time = Number(value);
    if (value === "" || !Number.isFinite(time)) {
      this.#showSpan(wave.span);
      return;
    }
    const other = wave.span?.[1 - index] ?? (index === 0 ? recording.seconds : 0);
    wave.span = index === 0 ? [time, Math.max(time, other)] : [Math.min(time, other), time];
  }
}
