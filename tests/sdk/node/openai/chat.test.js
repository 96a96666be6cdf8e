// Chat completions: plain, streamed, with tools, one at a time and many at once.

import assert from "node:assert/strict";
import test from "node:test";
import { all } from "../both.js";
import { same } from "./client.js";

const model = "gpt-4o";
const messages = [{ role: "user", content: "What do you see? Größe → 東京 🚂" }];
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: {
        type: "object",
        properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius"] } },
        required: ["city", "unit"],
      },
    },
  },
];

const create = (options) => (client) => client.chat.completions.create({ model, messages, ...options });
const stream = (options) => (client) => all(create({ stream: true, ...options })(client));

test("plain", async () => {
  const { choices, usage } = await same(create());
  assert.equal(choices[0].finish_reason, "stop");
  assert.ok(choices[0].message.content.length > 20);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});

test("a stream says what the plain reply says", async () => {
  const chunks = await same(stream());
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  assert.equal(text, (await same(create())).choices[0].message.content);
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  assert.ok(chunks.every((chunk) => !("usage" in chunk)));
});

test("a stream with usage", async () => {
  const chunks = await same(stream({ stream_options: { include_usage: true } }));
  const last = chunks.pop();
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 1);
  assert.ok(chunks.every((chunk) => chunk.usage === null));
});

test("a stream with the event API", async () => {
  const completion = await same((client) => client.chat.completions.stream({ model, messages }).finalChatCompletion());
  assert.equal(completion.choices[0].finish_reason, "stop");
});

test("tools", async () => {
  const { choices } = await same(create({ tools }));
  assert.equal(choices[0].finish_reason, "tool_calls");
  const call = choices[0].message.tool_calls[0].function;
  assert.equal(call.name, "get_weather");
  assert.equal(JSON.parse(call.arguments).unit, "celsius");
});

test("tools streamed", async () => {
  const chunks = await same(stream({ tools }));
  const calls = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
  assert.equal(calls[0].function.name, "get_weather");
  assert.equal(JSON.parse(calls.map((call) => call.function.arguments).join("")).unit, "celsius");
  assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");
});

test("an agent comes to its end", async () => {
  const turns = await same(async (client) => {
    const history = [...messages];
    for (let turn = 1; turn < 5; turn++) {
      const { message } = (await client.chat.completions.create({ model, messages: history, tools })).choices[0];
      if (!message.tool_calls) return turn;
      history.push(message, ...message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "18 °C" })));
    }
    return "no end";
  });
  assert.equal(turns, 2);
});

test("many streams at once", async () => {
  const ask = (n) => ({ messages: [{ role: "user", content: `Number ${n}` }] });
  const replies = await same((client) => Promise.all(Array.from({ length: 30 }, (_, n) => stream(ask(n))(client))));
  assert.equal(new Set(replies.map((chunks) => chunks[0].id)).size, 30);
});
