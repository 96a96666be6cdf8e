// A streamed chat through Sidegate with OpenAI's own SDK.
//
//     npm install openai
//     node examples/node/chat.mjs "Why is the sky blue?"
//
// SIDEGATE_URL is where Sidegate listens, MODEL the model to ask.

import OpenAI from "openai";

// The only line that differs from talking to the provider. The key stays with Sidegate, but the SDK insists on one.
const client = new OpenAI({ baseURL: process.env.SIDEGATE_URL ?? "http://127.0.0.1:8080/v1", apiKey: "anything" });

const stream = await client.chat.completions.create({
  model: process.env.MODEL ?? "gpt-4o-mini",
  messages: [{ role: "user", content: process.argv.slice(2).join(" ") || "Say hello." }],
  stream: true,
});
for await (const chunk of stream) {
  for (const choice of chunk.choices) process.stdout.write(choice.delta.content ?? "");
}
process.stdout.write("\n");
