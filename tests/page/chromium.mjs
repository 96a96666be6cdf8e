// A Chromium without a window, driven by its DevTools protocol over a pipe: JSON messages, each ended by a zero byte.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const WAIT = 10_000;

const FLAGS = [
  "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--no-proxy-server", "--disable-gpu",
  "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
  "--metrics-recording-only", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-GB",
  // No other machine, whatever the page or the browser itself would like.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

export class Chromium {
  #process;
  #profile;
  #next = 1;
  #open = new Map();
  #tabs = new Map();

  static async start() {
    const browser = new Chromium();
    browser.#profile = await mkdtemp(join(tmpdir(), "page-test-"));
    // Root has no sandbox to give away.
    const flags = [...FLAGS, `--user-data-dir=${browser.#profile}`, ...(process.getuid() === 0 ? ["--no-sandbox"] : [])];
    browser.#process = spawn(process.env.CHROMIUM ?? "chromium", [...flags, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      // All that it starts is in its group, and can be ended with it.
      detached: true,
    });
    browser.#process.on("error", error => browser.#fail(error));
    browser.#process.on("exit", () => browser.#fail(new Error("Chromium has ended")));
    browser.#process.stdio[3].on("error", error => browser.#fail(error));
    browser.#read(browser.#process.stdio[4]);
    return browser;
  }

  #read(pipe) {
    let rest = "";
    pipe.setEncoding("utf8").on("data", data => {
      const messages = (rest + data).split("\0");
      rest = messages.pop();
      for (const message of messages) this.#take(JSON.parse(message));
    });
  }

  #take({ id, method, params, sessionId, result, error }) {
    if (id === undefined) return this.#tabs.get(sessionId)?.take(method, params);
    const { resolve, reject, command } = this.#open.get(id) ?? {};
    this.#open.delete(id);
    if (error) reject?.(new Error(`${command}: ${error.message}`));
    else resolve?.(result);
  }

  #fail(error) {
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }

  // Sends a command and gives its result.
  send(command, params = {}, sessionId = undefined) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject, command });
      this.#process.stdio[3].write(`${JSON.stringify({ id, method: command, params, sessionId })}\0`);
    });
  }

  // A fresh tab, with no storage of another one.
  async tab(options) {
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(targetId, (command, params) => this.send(command, params, sessionId));
    this.#tabs.set(sessionId, tab);
    await tab.prepare(options);
    return tab;
  }

  async end() {
    const running = this.#process;
    if (running.exitCode === null && running.signalCode === null && running.pid) {
      const ended = once(running, "exit");
      this.send("Browser.close").catch(() => {});
      const late = setTimeout(() => process.kill(-running.pid, "SIGKILL"), 5000);
      await ended;
      clearTimeout(late);
    }
    try { process.kill(-running.pid, "SIGKILL"); } catch { /* Nothing of the group is left. */ }
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

// One tab: what it shows, and all that it has complained of or asked for.
export class Tab {
  complaints = [];
  requests = [];
  replies = [];
  #answer = null;

  constructor(target, send) {
    this.target = target;
    this.send = send;
  }

  take(method, params) {
    if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(params.type)) {
      this.complaints.push(params.args.map(arg => arg.value ?? arg.description).join(" "));
    } else if (method === "Runtime.exceptionThrown") {
      this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    } else if (method === "Log.entryAdded" && ["error", "warning"].includes(params.entry.level) && params.entry.source !== "network") {
      // The browser notes every answer that is an error, too: those stand in `replies`.
      this.complaints.push(`${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ""}`);
    } else if (method === "Network.requestWillBeSent") {
      this.requests.push({ method: params.request.method, url: params.request.url, headers: params.request.headers });
    } else if (method === "Network.responseReceived") {
      this.replies.push(params.response);
    } else if (method === "Page.javascriptDialogOpening") {
      this.complaints.push(`a dialog: ${params.message}`);
      this.send("Page.handleJavaScriptDialog", { accept: true }).catch(() => {});
    } else if (method === "Fetch.requestPaused") {
      this.#fulfil(params).catch(() => {});
    }
  }

  async prepare({ width = 1280, height = 900, theme = "light", scale = 1 } = {}) {
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await this.send(`${domain}.enable`);
    await this.resize(width, height, scale);
    await this.theme(theme);
  }

  resize(width, height, scale = 1) {
    return this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: false });
  }

  theme(theme) {
    return this.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: "reduce" }] });
  }

  // From now on, `answer(path)` stands in for the proxy: an object is its JSON, a number a bare status, `null` no answer, `undefined` lets it pass.
  async pretend(answer) {
    this.#answer = answer;
    await this.send("Fetch.enable", { patterns: [{ urlPattern: "http://*" }] });
  }

  async #fulfil({ requestId, request }) {
    const answer = this.#answer?.(new URL(request.url).pathname, request);
    if (answer === undefined) return this.send("Fetch.continueRequest", { requestId });
    if (answer === null) return this.send("Fetch.failRequest", { requestId, errorReason: "ConnectionRefused" });
    const [status, body] = typeof answer === "number" ? [answer, ""] : Array.isArray(answer) ? answer : [200, answer];
    const responseHeaders = [{ name: "content-type", value: "application/json" }];
    return this.send("Fetch.fulfillRequest", { requestId, responseCode: status, responseHeaders, body: Buffer.from(JSON.stringify(body)).toString("base64") });
  }

  async open(url) {
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
  }

  // What an expression is in the page.
  async value(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  // Looks again and again until the expression is true; its value.
  async until(expression, what = expression) {
    const deadline = Date.now() + WAIT;
    let last;
    while (Date.now() < deadline) {
      try {
        const value = await this.value(expression);
        if (value) return value;
        last = undefined;
      } catch (error) { last = error; }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    const shown = await this.value("document.body?.innerText").catch(() => "");
    throw new Error(`not in ${WAIT / 1000} s: ${what}${last ? ` (${last.message})` : ""}\n${shown}`);
  }

  text(selector) {
    return this.value(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? null`);
  }

  // A click where the element stands, as a hand would do it.
  async click(selector) {
    const spot = await this.value(`(() => { const e = document.querySelector(${JSON.stringify(selector)}); e.scrollIntoView({ block: "center" });
      const box = e.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", { type, x: spot[0], y: spot[1], button: "left", clickCount: 1 });
    }
  }

  async press(key) {
    const codes = { Tab: 9, Enter: 13, Escape: 27 };
    const text = key === "Enter" ? "\r" : undefined;
    for (const type of ["keyDown", "keyUp"]) {
      await this.send("Input.dispatchKeyEvent", { type, key, code: key, windowsVirtualKeyCode: codes[key], ...(type === "keyDown" && { text }) });
    }
  }

  type(text) {
    return this.send("Input.insertText", { text });
  }

  async screenshot() {
    const { data } = await this.send("Page.captureScreenshot", { format: "png", captureBeyondViewport: false });
    return Buffer.from(data, "base64");
  }
}
