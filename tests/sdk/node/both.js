// Every scenario runs straight to the provider and through Sidegate, in each way: all outcomes must be the same.

import assert from "node:assert/strict";
import { Agent, fetch as fetchWithHttp2 } from "undici";

/** One way to the provider. */
class Way {
  constructor(name, origin, admin, http2 = false) {
    // `admin` is where the proxy's operator asks; nobody does on the way straight to the provider.
    Object.assign(this, { name, origin, admin, http2 });
    // Node's own `fetch` has no HTTP/2.
    this.agent = http2 ? new Agent({ allowH2: true }) : null;
    this.fetch = http2 ? (url, init) => fetchWithHttp2(url, { ...init, dispatcher: this.agent }) : undefined;
  }

  /** The base URL that a client is given. */
  url(path) {
    return this.origin + path;
  }
}

export const DIRECT = new Way("direct", process.env.DIRECT_URL);
// Without the proxy there is one way, and every scenario is compared with itself.
const plain = process.env.SIDEGATE_URL || DIRECT.origin;
const tls = process.env.SIDEGATE_TLS_URL || DIRECT.origin;
const { SIDEGATE_ADMIN_URL: plainAdmin, SIDEGATE_TLS_ADMIN_URL: tlsAdmin } = process.env;
export const THROUGH = [
  new Way("sidegate", plain, plainAdmin),
  new Way("sidegate-tls", tls, tlsAdmin),
  new Way("sidegate-h2", tls, tlsAdmin, tls !== DIRECT.origin),
];

/** Each way, for what can't be compared. */
export const WAYS = [DIRECT, ...THROUGH];

/**
 * What a program gets from one scenario, and how many requests the provider has seen.
 * `client` knows the client at hand: `connect(way, options)` and `failure(error)`.
 */
export async function outcome(scenario, way, client, options) {
  const before = (await counters()).requests;
  let returned;
  try {
    returned = data(await scenario(client.connect(way, options), way));
  } catch (error) {
    // A scenario that is wrong in itself must not look like an outcome.
    if (error instanceof assert.AssertionError || error instanceof ReferenceError) throw error;
    returned = client.failure(error);
  } finally {
    await forgetRefusals(way);
  }
  return { returned, requests: (await counters()).requests - before };
}

/** For one client: runs a scenario in all ways, compares, and returns the outcome for a closer look. */
export function comparing(client) {
  return async (scenario, options) => {
    const direct = await outcome(scenario, DIRECT, client, options);
    for (const way of THROUGH) {
      assert.deepEqual(await outcome(scenario, way, client, options), direct, `by the way ${way.name}`);
    }
    return direct.returned;
  };
}

/** All that a stream brings. */
export async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

/** What the provider has counted so far. */
export async function counters() {
  const reply = await fetch(DIRECT.url("/simulator/counters"));
  return reply.json();
}

/** Makes the proxy's keys sound again. One that a scenario had refused would be asked once a second, and the next one wait for it. */
async function forgetRefusals({ admin }) {
  if (!admin) return;
  const { keys } = await (await fetch(`${admin}/keys`)).json();
  for (const { id } of keys.filter((key) => key.last_error)) {
    const reply = await fetch(`${admin}/keys/${id}/reset`, { method: "POST" });
    assert.equal(reply.status, 200, `the key ${id} can't be reset`);
  }
}

/** Runs something and waits, with a deadline, until the provider has seen one cancel more. */
export async function cancels(leave) {
  const before = (await counters()).cancelled;
  await leave();
  const deadline = Date.now() + 5_000;
  while ((await counters()).cancelled === before) {
    assert.ok(Date.now() < deadline, "the provider was not told that the client had left");
  }
}

/** Data without the client's classes and without the id that each reply has for itself. */
function data(value) {
  if (value === undefined) return null;
  return JSON.parse(JSON.stringify(value, (key, field) => (key === "_request_id" ? undefined : field)));
}
