// Anthropic's Messages: whole, streamed, with tools; counts, models, errors and retries.

import assert from "node:assert/strict";
import test from "node:test";
import { all } from "../both.js";
import { same } from "./client.js";

const asked = { model: "claude-sonnet-4-5", max_tokens: 1024, messages: [{ role: "user", content: "What do you see? Größe → 東京 🚂" }] };
const tools = [{ name: "get_weather", input_schema: { type: "object", properties: { days: { type: "integer" } }, required: ["days"] } }];
const create = (options) => (client) => client.messages.create({ ...asked, ...options });

test("a stream says what the whole reply says", async () => {
  const reply = await same(create());
  const events = await same((client) => all(create({ stream: true })(client)));
  assert.equal(events[0].type, "message_start");
  assert.equal(events.at(-1).type, "message_stop");
  const text = events.map((event) => event.delta?.text ?? "").join("");
  assert.equal(text, reply.content[0].text);
});

test("a stream with the event API", async () => {
  const message = await same((client) => client.messages.stream(asked).finalMessage());
  assert.equal(message.stop_reason, "end_turn");
});

test("tools", async () => {
  assert.ok((await same(create({ tools }))).content.some((block) => block.input?.days > 0));
  const message = await same((client) => client.messages.stream({ ...asked, tools }).finalMessage());
  assert.equal(message.stop_reason, "tool_use");
});

test("counts and models", async () => {
  const { model, messages } = asked;
  assert.ok((await same((client) => client.messages.countTokens({ model, messages }))).input_tokens > 1);
  assert.ok((await same((client) => all(client.models.list()))).length > 1);
});

test("many streams at once", async () => {
  const ask = (n) => create({ stream: true, messages: [{ role: "user", content: `Number ${n}` }] });
  const replies = await same((client) => Promise.all(Array.from({ length: 20 }, (_, n) => all(ask(n)(client)))));
  assert.equal(new Set(replies.map((events) => events[0].message.id)).size, 20);
});

const ERRORS = [
  ["fault-400", "BadRequestError", 400],
  ["fault-401", "AuthenticationError", 401],
  ["fault-429", "RateLimitError", 429],
  ["fault-500", "InternalServerError", 500],
];
for (const [model, ...expected] of ERRORS) {
  for (const stream of [false, true]) {
    test(`${model} arrives as the provider words it, ${stream ? "streamed" : "whole"}`, async () => {
      const failed = await same(create({ model, stream }));
      assert.deepEqual([failed.error, failed.status], expected);
    });
  }
}

test("retries", async () => {
  assert.ok((await same(create({ model: "fault-flaky" }), { maxRetries: 2 })).content);
  assert.equal((await same(create({ model: "fault-429" }), { maxRetries: 1 })).error, "RateLimitError");
});
