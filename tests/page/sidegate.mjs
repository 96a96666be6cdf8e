// A Sidegate of a test's own, in front of the simulated provider.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const WAIT = 20_000;

// What still runs when the tests are stopped in the midst of it ends with them. Chromium ends by itself when its pipe does.
const running = new Set();
process.once("SIGTERM", () => process.exit(143));
process.on("exit", () => running.forEach(child => child.kill("SIGKILL")));

export class Sidegate {
  #folder;
  #process;
  log = [];

  // Starts it with a config, from whose text `%MOCK%` is replaced by the provider's address.
  static async start(config) {
    const sidegate = new Sidegate();
    sidegate.#folder = await mkdtemp(join(tmpdir(), "page-test-"));
    await sidegate.configure(config);
    sidegate.#process = spawn(process.env.SIDEGATE_BIN, ["--config", "proxy.yaml"], { cwd: sidegate.#folder, stdio: ["ignore", "ignore", "pipe"] });
    const child = sidegate.#process;
    running.add(child);
    child.once("exit", () => running.delete(child));
    const { address, admin } = await sidegate.#listening();
    sidegate.url = `http://${address}`;
    sidegate.page = `http://${admin}/`;
    return sidegate;
  }

  get #file() {
    return join(this.#folder, "proxy.yaml");
  }

  #listening() {
    return new Promise((resolve, reject) => {
      const failed = () => reject(new Error(`it did not start:\n${this.log.join("\n")}`));
      const late = setTimeout(failed, WAIT);
      this.#process.on("error", reject);
      this.#process.on("exit", failed);
      createInterface({ input: this.#process.stderr }).on("line", line => {
        this.log.push(line);
        if (!line.includes('"message":"listening"')) return;
        clearTimeout(late);
        resolve(JSON.parse(line));
      });
    });
  }

  // Writes the config as editors do: beside it, then in its place.
  async configure(config) {
    await writeFile(`${this.#file}.new`, config.replaceAll("%MOCK%", process.env.MOCK_URL));
    await rename(`${this.#file}.new`, this.#file);
  }

  // A chat completion; its status. The reply is read to its end.
  async chat({ model = "gpt-4o", stream = false } = {}) {
    const reply = await fetch(`${this.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hello" }] }),
    });
    await reply.arrayBuffer();
    return reply.status;
  }

  // Its exit code, once it has ended.
  async ended() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await once(this.#process, "exit", { signal: AbortSignal.timeout(WAIT) });
    return this.#process.exitCode;
  }

  async end() {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) this.#process.kill("SIGKILL");
    if (this.#process?.pid) await this.ended();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
