// Errors of every class, retries, timeouts, cancels, and replies that break off.

import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";
import { DIRECT, WAYS, cancels, counters, outcome } from "../both.js";
import * as client from "./client.js";
import { connect, failure, same } from "./client.js";

const messages = [{ role: "user", content: "Hello" }];
const chat = (model, options) => (one) => one.chat.completions.create({ model, messages, ...options });

const ERRORS = [
  ["fault-400", "BadRequestError", 400, "invalid_request_error", "context_length_exceeded"],
  ["fault-401", "AuthenticationError", 401, "invalid_request_error", "invalid_api_key"],
  ["fault-403", "PermissionDeniedError", 403, "request_forbidden", "unsupported_country_region_territory"],
  ["fault-404", "NotFoundError", 404, "invalid_request_error", "model_not_found"],
  ["fault-429", "RateLimitError", 429, "requests", "rate_limit_exceeded"],
  ["fault-quota", "RateLimitError", 429, "insufficient_quota", "insufficient_quota"],
  ["fault-500", "InternalServerError", 500, "server_error", null],
  ["fault-503", "InternalServerError", 503, "service_unavailable_error", "server_is_overloaded"],
];

for (const [model, ...expected] of ERRORS) {
  for (const stream of [false, true]) {
    test(`${model} arrives as the provider words it, ${stream ? "streamed" : "plain"}`, async () => {
      const failed = await same(chat(model, { stream }));
      assert.deepEqual([failed.error, failed.status, failed.type, failed.code], expected);
      assert.ok(failed.requestId);
    });
  }
}

test("an unknown path", async () => {
  const failed = await same((one) => one.get("/no/such/path"));
  assert.deepEqual([failed.error, failed.code], ["NotFoundError", "unknown_url"]);
});

test("a request without what it needs", async () => {
  const failed = await same((one) => one.post("/chat/completions", { body: { model: "gpt-4o" } }));
  assert.deepEqual([failed.error, failed.param], ["BadRequestError", "messages"]);
});

test("retries that help", async () => {
  const reply = await same(chat("fault-flaky"), { maxRetries: 2 });
  assert.equal(reply.choices[0].finish_reason, "stop");
});

test("retries that do not help", async () => {
  assert.equal((await same(chat("fault-429"), { maxRetries: 2 })).error, "RateLimitError");
  assert.equal((await outcome(chat("fault-429"), DIRECT, client, { maxRetries: 2 })).requests, 3);
});

for (const way of WAYS) {
  for (const stream of [false, true]) {
    test(`a client that loses its patience, ${way.name}, ${stream ? "streamed" : "plain"}`, () =>
      cancels(async () => {
        const failed = await outcome(chat("fault-hang", { stream }), way, client, { timeout: 300 });
        assert.equal(failed.returned.error, "APIConnectionTimeoutError");
      }));
  }

  test(`a cancel in the middle of a stream, ${way.name}`, () =>
    cancels(async () => {
      let chunks = 0;
      for await (const _ of await chat("fault-slow", { stream: true })(connect(way))) {
        if (++chunks === 2) break;
      }
      assert.equal(chunks, 2);
    }));

  test(`an abort before the first byte, ${way.name}`, () =>
    cancels(async () => {
      const controller = new AbortController();
      const { requests } = await counters();
      const reply = connect(way).chat.completions.create({ model: "fault-hang", messages }, { signal: controller.signal });
      while ((await counters()).requests === requests);
      controller.abort();
      await assert.rejects(reply, OpenAI.APIUserAbortError);
    }));
}

/** Reads to the end, and tells how many chunks came before an error. */
const read = (model) => async (one) => {
  let chunks = 0;
  try {
    for await (const _ of await chat(model, { stream: true })(one)) chunks++;
  } catch (error) {
    return { chunks, ...failure(error) };
  }
  return { chunks, error: null };
};

for (const model of ["fault-truncated", "fault-reset"]) {
  test(`${model} in a stream is an error`, async () => {
    const broken = await same(read(model));
    assert.ok(broken.chunks > 1);
    assert.equal(broken.error, "TypeError");
  });

  test(`${model} in a plain reply is an error`, async () => {
    assert.equal((await same(chat(model))).error, "TypeError");
  });
}

test("a stream without its last event stays so", async () => {
  const broken = await same(read("fault-unfinished"));
  assert.ok(broken.chunks > 1);
  assert.equal(broken.error, null);
});
