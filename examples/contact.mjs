#!/usr/bin/env node
/*
 * A contact with nothing but the built-in WebSocket: each line you type goes to the house, answers come back.
 *
 *     export SIGNALBOX_URL=ws://127.0.0.1:8400/v1
 *     export SIGNALBOX_TOKEN=…                                  # the contact's, as `make run` prints it
 *     node examples/contact.mjs "My parcel is lost"             # Node 22 and later; Ctrl-D ends it
 *     node --experimental-websocket examples/contact.mjs "…"    # Node 20 and 21
 *
 * Nothing below "end of session" knows about connections: they may break at any moment.
 */
import { createInterface } from "node:readline";

// ---- session: the same text stands in contact.mjs and page.html, so that each can be copied alone ----

/** Close codes after which coming back would not help, and what would. After all others: come back. */
const STOP = {
  1000: "the session is over",
  1009: "a frame was larger than the server takes: send less at once",
  4001: "the token is not valid: get a new one",
  4003: "this origin is not allowed: ask the operator",
};
/** Close codes after which to come back, but not soon: the server failed; it is too busy; too many requests. */
const LATER = [1011, 1013, 4029];
/** Refusals that mean "not now": the same request is good a little later. */
const NOT_NOW = ["rate_limited", "storage_unavailable", "draining"];

/**
 * One session that survives its connections. hear(method, params) gets every notice of the server's, and three of the
 * session's own: session.opened (after every connect), session.lost, session.stopped (for good).
 */
class Session {
  constructor(url, token, hear) {
    Object.assign(this, { url, token, hear, since: null, live: false, failures: 0, retryAfter: 0, why: "", ids: 0 });
    this.pending = new Map(); // requests without an answer, by id
    this.connect();
  }

  /** Send a request that only reads. Resolves to its result, however many connections that takes. */
  ask(method, params = {}) {
    return new Promise((resolve, reject) => {
      const request = { id: ++this.ids, method, params, resolve, reject };
      this.pending.set(request.id, request);
      this.send(request);
    });
  }

  /** The same for a request that changes something: sent again with its key, it changes nothing more. */
  do(method, params = {}) {
    const random = crypto.getRandomValues(new Uint8Array(16));
    const key = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return this.ask(method, { key, ...params });
  }

  /** End it. */
  close() {
    this.over = true;
    clearTimeout(this.timer);
    if (this.socket.readyState <= WebSocket.OPEN) this.socket.close(1000);
    else this.stop(STOP[1000]);
  }

  connect() {
    const socket = (this.socket = new WebSocket(this.url));
    const end = (code, reason) => {
      socket.onclose = socket.onerror = null; // of a failure browsers tell both, Node 20 only the error
      this.lost(code, this.why || reason || "no connection");
    };
    socket.onopen = () => {
      const params = { token: this.token, since: this.since }; // since: send what I missed, then go on live
      socket.send(JSON.stringify({ jsonrpc: "2.0", id: 0, method: "session.open", params }));
    };
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => end(code, reason);
    socket.onerror = () => end(1006, "");
  }

  send({ id, method, params }) {
    if (this.live) this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  }

  receive({ id, method, params, result, error }) {
    if (method) {
      if (method === "conversation.entry") this.since = params.entry.seq;
      if (method === "session.ending") this.retryAfter = params.retry_after_s * 1000;
      this.hear(method, params);
    } else if (id === 0) {
      this.opened(result, error);
    } else if (this.pending.has(id)) {
      this.answered(this.pending.get(id), result, error);
    }
  }

  opened(result, error) {
    this.why = error ? error.message : "";
    if (error) return; // the close code that follows says what to do
    if (this.since === null || result.resync) this.since = result.seq; // the first time, or too much was missed
    Object.assign(this, { live: true, failures: 0 });
    this.hear("session.opened", result);
    for (const request of this.pending.values()) this.send(request); // was it done? With its key, ask again
  }

  answered(request, result, error) {
    const { reason, retry_after_s: seconds = 1 } = error?.data ?? {};
    if (NOT_NOW.includes(reason)) return void setTimeout(() => this.send(request), seconds * 1000);
    this.pending.delete(request.id);
    if (error) request.reject(Object.assign(new Error(error.message), error.data));
    else request.resolve(result);
  }

  lost(code, why) {
    this.live = false;
    if (this.over || STOP[code]) return this.stop(this.over ? STOP[1000] : `${STOP[code]} (${why})`);
    const longest = Math.min(30_000, (LATER.includes(code) ? 5_000 : 250) * 2 ** this.failures++);
    const pause = Math.max(this.retryAfter, longest * (0.5 + Math.random() / 2)); // chance: not all at one moment
    this.retryAfter = 0;
    this.hear("session.lost", { code, why, again_in_s: pause / 1000 });
    this.timer = setTimeout(() => this.connect(), pause);
  }

  stop(why) {
    for (const request of this.pending.values()) request.reject(new Error(why));
    this.pending.clear();
    this.hear("session.stopped", { why });
  }
}

// ---- end of session ----

const { SIGNALBOX_URL = "ws://127.0.0.1:8400/v1", SIGNALBOX_TOKEN, SIGNALBOX_SERVICE = "support" } = process.env;

function fail(why) {
  console.error(why);
  process.exit(2);
}

if (typeof WebSocket === "undefined") fail(`Node ${process.version} hides its WebSocket: add --experimental-websocket`);
if (!SIGNALBOX_TOKEN) fail("no token: set SIGNALBOX_TOKEN");

const session = new Session(SIGNALBOX_URL, SIGNALBOX_TOKEN, (method, params) => {
  switch (method) {
    case "session.opened":
      return console.log(`-- connected as ${params.sub}`);
    case "session.lost":
      return console.log(`-- connection lost; again in ${params.again_in_s.toFixed(1)} s`);
    case "session.stopped":
      return params.why.startsWith(STOP[1000]) ? keyboard.close() : fail(`stopped: ${params.why}`);
    case "conversation.entry":
      return show(params.entry);
    case "queue.position":
      return console.log(`-- waiting, no. ${params.position}`);
  }
});

/** One line of the timeline, as a contact may see it. */
function show({ type, by, text }) {
  if (type === "message" && by.kind === "contact") console.log(`>> ${text}`);
  else if (type === "message") console.log(`<< ${by.id ?? "the house"}: ${text}`);
  else console.log(`-- ${type}`);
}

/** Begin a conversation or go on with the one there is: the server knows which. */
async function write(text) {
  try {
    await session.do("conversation.start", { service: SIGNALBOX_SERVICE, channel: "web", text });
  } catch (problem) {
    console.log(`-- not sent: ${problem.message}`);
  }
}

const keyboard = createInterface({ input: process.stdin });
let last = process.argv[2] ? write(process.argv[2]) : Promise.resolve();
keyboard.on("line", (line) => line.trim() && (last = write(line.trim())));
keyboard.on("close", () => last.then(() => session.close()));
