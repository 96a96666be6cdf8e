// Gemini's generateContent: whole, streamed, with tools; embeddings, counts and errors.

import assert from "node:assert/strict";
import test from "node:test";
import { all } from "../both.js";
import { same } from "./client.js";

const asked = { model: "gemini-2.5-pro", contents: "What do you see? Größe → 東京 🚂" };
const parameters = { type: "OBJECT", properties: { days: { type: "INTEGER" } } };
const tools = [{ functionDeclarations: [{ name: "get_weather", parameters }] }];

/** A reply or a part of one, without the fields of the HTTP response. */
const said = ({ sdkHttpResponse, ...reply }) => reply;
const generate = (options) => async (client) => said(await client.models.generateContent({ ...asked, ...options }));
const stream = (options) => async (client) => (await all(client.models.generateContentStream({ ...asked, ...options }))).map(said);
const text = (reply) => (reply.candidates?.[0].content?.parts ?? []).map((part) => part.text ?? "").join("");

test("a stream says what the whole reply says", async () => {
  const whole = text(await same(generate()));
  assert.ok(whole.length > 20);
  assert.equal((await same(stream())).map(text).join(""), whole);
});

test("tools", async () => {
  const calls = (reply) => reply.candidates[0].content.parts.filter((part) => part.functionCall);
  assert.equal(calls(await same(generate({ config: { tools } }))).length, 1);
  assert.ok((await same(stream({ config: { tools } }))).length > 0);
});

test("embeddings and counts", async () => {
  const config = { outputDimensionality: 8 };
  const embedded = await same(async (client) => said(await client.models.embedContent({ model: "gemini-embedding-001", contents: ["river"], config })));
  assert.equal(embedded.embeddings[0].values.length, 8);
  assert.ok((await same(async (client) => said(await client.models.countTokens(asked)))).totalTokens > 1);
});

for (const [model, status] of [["fault-400", 400], ["fault-403", 403], ["fault-429", 429], ["fault-503", 503]]) {
  test(`${model} arrives as the provider words it`, async () => {
    assert.equal((await same(generate({ model }))).status, status);
    assert.equal((await same(stream({ model }))).status, status);
  });
}
