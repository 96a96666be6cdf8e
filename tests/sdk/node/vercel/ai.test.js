// The AI SDK: texts, streams, objects, tools in several steps, embeddings, errors and retries.

import assert from "node:assert/strict";
import test from "node:test";
import { embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { all } from "../both.js";
import { same } from "./client.js";

const prompt = "What do you see? Größe → 東京 🚂";
const MODELS = {
  "chat completions": ({ openai }, name = "gpt-4o") => openai.chat(name),
  responses: ({ openai }, name = "gpt-5") => openai.responses(name),
  messages: ({ anthropic }, name = "claude-sonnet-4-5") => anthropic(name),
};
const getWeather = tool({
  description: "Tells the weather",
  inputSchema: z.object({ city: z.string(), days: z.number().int() }),
  execute: async ({ city, days }) => `18 °C in ${city} for ${days} days`,
});

for (const [api, model] of Object.entries(MODELS)) {
  const options = (client, name) => ({ model: model(client, name), prompt, maxRetries: 0 });

  test(`a stream says what the text says, ${api}`, async () => {
    const whole = await same(async (client) => {
      const { text, finishReason, usage } = await generateText(options(client));
      return { text, finishReason, usage };
    });
    const streamed = await same(async (client) => {
      const reply = streamText(options(client));
      return { pieces: await all(reply.textStream), finishReason: await reply.finishReason, usage: await reply.usage };
    });
    assert.ok(streamed.pieces.length > 5);
    assert.equal(streamed.pieces.join(""), whole.text);
    assert.equal(whole.finishReason, "stop");
  });

  test(`tools in several steps, ${api}`, async () => {
    const { steps, text } = await same(async (client) => {
      const reply = await generateText({ ...options(client), tools: { getWeather }, stopWhen: stepCountIs(4) });
      return { text: reply.text, steps: reply.steps.map((step) => [step.finishReason, step.toolResults.map(({ output }) => output)]) };
    });
    assert.equal(steps.length, 2);
    assert.match(steps[0][1][0], /^18 °C in /);
    assert.ok(text.length > 20);
  });

  for (const fault of ["fault-400", "fault-401", "fault-429", "fault-500"]) {
    test(`${fault}, ${api}`, async () => {
      const failed = await same((client) => generateText(options(client, fault)));
      assert.equal(failed.name, "AI_APICallError");
      assert.ok(failed.statusCode >= 400);
    });
  }

  test(`retries, ${api}`, async () => {
    const text = await same(async (client) => (await generateText({ ...options(client, "fault-flaky"), maxRetries: 2 })).text);
    assert.ok(text.length > 20);
  });
}

test("embeddings", async () => {
  const [first, second] = await same(async ({ openai }) => {
    const model = openai.textEmbeddingModel("text-embedding-3-small");
    return (await embedMany({ model, values: ["river", "bridge"] })).embeddings;
  });
  assert.notDeepEqual(first, second);
});
