// The server's HTTP interface. Paths are those below /api: get("/jobs"), get("/midi/pieces/0123...").

const ROOT = new URL("api/", document.baseURI);
const MOST_FAILURES = 3;
const POLL_MS = 1000;
// A browser keeps six connections to a server at most: some must be left for everything else.
const MOST_STREAMS = 4;
const EVENTS = ["state", "begin", "notes", "drop", "progress", "result", "end"];

/** Tells "lost" and "regained" when the server stops or begins to answer. */
export const connection = new EventTarget();

let lost = false;
let streams = 0;

/** What the server (or the way to it) had to say. `kind` is one of the interface's kinds, or "offline". */
export class ApiError extends Error {
  /**
   * @param {string} kind
   * @param {string} message one plain paragraph
   * @param {number} status of HTTP; 0 where no answer came
   */
  constructor(kind, message, status) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
    this.status = status;
  }
}

/**
 * The address of a path below /api, for <audio>, links and pictures.
 * @param {string} path such as "/shelf"; a leading "/api" is allowed
 * @returns {string}
 */
export function url(path) {
  return new URL(path.replace(/^\/?(api\/)?/, ""), ROOT).href;
}

function heard(answered) {
  if (answered === !lost) {
    return;
  }
  lost = !answered;
  connection.dispatchEvent(new Event(lost ? "lost" : "regained"));
}

async function failure(response) {
  let told = null;
  try {
    told = (await response.json()).error;
  } catch {
    // No JSON: something between this page and the studio has answered.
  }
  const message = told?.message ?? `The server answered with status ${response.status}.`;
  return new ApiError(told?.kind ?? "internal", message, response.status);
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(url(path), { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    heard(false);
    throw new ApiError("offline", "The studio does not answer. Is `segue studio` still running?", 0);
  }
  heard(true);
  if (!response.ok) {
    throw await failure(response);
  }
  return response;
}

async function json(path, options) {
  const response = await ask(path, options);
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

/** What the server offers: models, instruments, limits, demos. */
export function info() {
  return get("/info");
}

/**
 * @param {string} path
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>} the JSON answer
 */
export function get(path, options = {}) {
  return json(path, options);
}

/**
 * @param {string} path
 * @param {object} [body] sent as JSON
 * @returns {Promise<any>} the JSON answer
 */
export function post(path, body = {}) {
  return json(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}

/**
 * Sends a file as it is; its name goes with it.
 * @param {string} path
 * @param {File} file
 * @returns {Promise<any>} the JSON answer
 */
export function upload(path, file) {
  const name = encodeURIComponent(file.name ?? "");
  return json(`${path}?name=${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
}

/** @param {string} path of what is to be so from now on */
export function put(path) {
  return json(path, { method: "PUT" });
}

/** @param {string} path to delete, or a job to cancel */
export function remove(path) {
  return json(path, { method: "DELETE" });
}

/**
 * @param {string} path
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<{buffer: ArrayBuffer, headers: Headers}>}
 */
export async function bytes(path, options = {}) {
  const response = await ask(path, options);
  return { buffer: await response.arrayBuffer(), headers: response.headers };
}

/**
 * Follows a job from its beginning to its end, through lost connections.
 *
 * Every event comes once, in order; the last is "end". An event "error" is the job's error. Where
 * server-sent events do not come through, the job is polled, and only state, progress, result, error
 * and end are told.
 * @param {string} jobId
 * @param {{onEvent: (name: string, data: object) => void}} handlers
 * @returns {{stop: () => void}}
 */
export function follow(jobId, { onEvent }) {
  const told = { last: -1, ended: false, stopped: false, failures: 0, source: null, timer: 0 };
  const path = `/jobs/${encodeURIComponent(jobId)}`;
  const tell = (name, data) => {
    if (told.stopped || told.ended) {
      return;
    }
    told.ended = name === "end";
    if (told.ended) {
      close(told);
    }
    onEvent(name, data);
  };
  goOn(path, told, tell);
  return {
    stop() {
      told.stopped = true;
      close(told);
    },
  };
}

function close(told) {
  closeStream(told);
  clearTimeout(told.timer);
}

function closeStream(told) {
  if (told.source) {
    told.source.close();
    told.source = null;
    streams -= 1;
  }
}

function goOn(path, told, tell) {
  if (streams < MOST_STREAMS && told.failures < MOST_FAILURES) {
    listen(path, told, tell);
  } else {
    poll(path, told, tell);
  }
}

function listen(path, told, tell) {
  const source = new EventSource(url(`${path}/events`));
  told.source = source;
  streams += 1;
  const onMessage = (event) => {
    const number = Number.parseInt(event.lastEventId, 10);
    if (Number.isFinite(number)) {
      if (number <= told.last) {
        return;
      }
      told.last = number;
    }
    told.failures = 0;
    tell(event.type, JSON.parse(event.data));
  };
  for (const name of EVENTS) {
    source.addEventListener(name, onMessage);
  }
  source.addEventListener("open", () => heard(true));
  source.addEventListener("error", (event) => {
    if (event.data !== undefined) {
      onMessage(event);
    } else if (!told.ended && !told.stopped) {
      broken(path, told, tell);
    }
  });
}

function broken(path, told, tell) {
  closeStream(told);
  told.failures += 1;
  told.timer = setTimeout(() => goOn(path, told, tell), 300 * told.failures);
}

async function poll(path, told, tell) {
  const later = () => {
    if (!told.stopped && !told.ended) {
      told.timer = setTimeout(() => goOn(path, told, tell), POLL_MS);
    }
  };
  let job;
  try {
    job = await get(path);
  } catch (error) {
    if (error.status === 404 || error.status === 410) {
      tell("error", { kind: error.kind, message: error.message });
      tell("end", { state: "failed" });
    }
    later();
    return;
  }
  tell("state", { state: job.state, position: job.position });
  if (typeof job.progress === "number") {
    tell("progress", { done: job.progress, total: 1 });
  }
  if (!["queued", "running"].includes(job.state)) {
    if (job.result) {
      tell("result", job.result);
    }
    if (job.error) {
      tell("error", job.error);
    }
    tell("end", { state: job.state });
  }
  later();
}
