// Embeddings in both encodings, and the list of models.

import assert from "node:assert/strict";
import test from "node:test";
import { all } from "../both.js";
import { same } from "./client.js";

const embed = (options) => (client) => client.embeddings.create({ model: "text-embedding-3-small", ...options });

test("the encodings mean the same", async () => {
  // Left alone, the SDK asks for base64 and decodes it.
  const decoded = (await same(embed({ input: "river" }))).data[0].embedding;
  const floats = (await same(embed({ input: "river", encoding_format: "float" }))).data[0].embedding;
  assert.equal(decoded.length, 1536);
  assert.deepEqual(decoded, floats);
  assert.ok(Math.abs(Math.hypot(...decoded) - 1) < 1e-4);
});

test("a list and fewer dimensions", async () => {
  const { data } = await same(embed({ input: ["river", "bridge", "river"], dimensions: 8 }));
  assert.deepEqual(data.map((row) => row.index), [0, 1, 2]);
  assert.equal(data[0].embedding.length, 8);
  assert.deepEqual(data[0].embedding, data[2].embedding);
  assert.notDeepEqual(data[0].embedding, data[1].embedding);
});

test("the list of models", async () => {
  const names = (await same((client) => all(client.models.list()))).map((model) => model.id);
  assert.ok(names.includes("gpt-4o") && names.includes("fault-429"));
});

test("one model", async () => {
  assert.equal((await same((client) => client.models.retrieve("gpt-4o"))).id, "gpt-4o");
});

test("an unknown model", async () => {
  const failed = await same((client) => client.models.retrieve("gpt-0"));
  assert.deepEqual([failed.error, failed.code, failed.param], ["NotFoundError", "model_not_found", "model"]);
});
