// Every scenario runs twice, straight to the provider and through Sidegate, and both outcomes must be the same.

import assert from "node:assert/strict";
import OpenAI from "openai";

export const DIRECT = process.env.DIRECT_BASE_URL;
export const SIDEGATE = process.env.SIDEGATE_BASE_URL || DIRECT;

/** Each way, for what can't be compared. */
export const WAYS = [
  ["direct", DIRECT],
  ["sidegate", SIDEGATE],
];

/** A client that does not try again, unless the scenario is about that. */
export function client(baseURL, options = {}) {
  return new OpenAI({ baseURL, apiKey: "sk-anything", maxRetries: 0, timeout: 10_000, ...options });
}

/** Everything that a program can tell about an error. */
export function failure(error) {
  const seen = { error: error.constructor.name, message: error.message };
  if (error instanceof OpenAI.APIError) {
    const { status, type, param, code } = error;
    Object.assign(seen, { status, type, param, code, body: error.error });
    Object.assign(seen, { retryAfter: error.headers?.get("retry-after") ?? null, requestId: Boolean(error.requestID) });
  }
  return seen;
}

/** What the scenario returned, or how it failed. */
export async function outcome(scenario, baseURL, options) {
  try {
    return plain(await scenario(client(baseURL, options)));
  } catch (error) {
    // A scenario that is wrong in itself must not look like an outcome.
    if (error instanceof assert.AssertionError || error instanceof ReferenceError) throw error;
    return failure(error);
  }
}

/** Runs a scenario both ways, compares, and returns the outcome for a closer look. */
export async function same(scenario, options) {
  const direct = await outcome(scenario, DIRECT, options);
  assert.deepEqual(await outcome(scenario, SIDEGATE, options), direct);
  return direct;
}

/** All that a stream brings. */
export async function all(stream) {
  const events = [];
  for await (const event of await stream) events.push(event);
  return events;
}

/** What the provider has counted so far. */
export async function counters() {
  const reply = await fetch(new URL("/simulator/counters", DIRECT));
  return reply.json();
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

/** Data without the SDK's classes and without the id that each reply has for itself. */
function plain(value) {
  if (value === undefined) return null;
  return JSON.parse(JSON.stringify(value, (key, field) => (key === "_request_id" ? undefined : field)));
}
