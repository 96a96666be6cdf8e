// The Responses API: plain, streamed, with tools.

import assert from "node:assert/strict";
import test from "node:test";
import { all } from "../both.js";
import { same } from "./client.js";

const model = "gpt-5";
const input = "What do you see?";
const tools = [
  {
    type: "function",
    name: "get_weather",
    strict: true,
    parameters: { type: "object", properties: { days: { type: "integer" } }, required: ["days"], additionalProperties: false },
  },
];

const create = (options) => (client) => client.responses.create({ model, input, ...options });
const stream = (options) => (client) => all(create({ stream: true, ...options })(client));

test("plain", async () => {
  const reply = await same(create({ metadata: { a: "b" } }));
  assert.equal(reply.status, "completed");
  assert.deepEqual(reply.metadata, { a: "b" });
  assert.equal(reply.output[0].content[0].text, reply.output_text);
});

test("fewer tokens", async () => {
  const reply = await same(create({ max_output_tokens: 4 }));
  assert.deepEqual([reply.status, reply.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
});

test("a stream", async () => {
  const events = await same(stream());
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  assert.ok(events.every((event, n) => event.sequence_number === n));
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), events.at(-1).response.output[0].content[0].text);
});

test("a stream with the event API", async () => {
  const response = await same((client) => client.responses.stream({ model, input }).finalResponse());
  assert.equal(response.status, "completed");
});

test("tools", async () => {
  const [call] = (await same(create({ tools }))).output;
  assert.deepEqual([call.type, call.name], ["function_call", "get_weather"]);
  assert.ok(JSON.parse(call.arguments).days > 0);
});

test("tools streamed", async () => {
  const events = await same(stream({ tools }));
  const deltas = events.filter((event) => event.type === "response.function_call_arguments.delta");
  assert.equal(deltas.map((event) => event.delta).join(""), events.at(-1).response.output[0].arguments);
});
