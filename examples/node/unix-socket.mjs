// A streamed chat through Sidegate on a Unix socket, with OpenAI's own SDK.
//
//     npm install openai undici
//     SIDEGATE_SOCKET=/run/sidegate/proxy.sock node examples/node/unix-socket.mjs "Why is the sky blue?"
//
// SIDEGATE_SOCKET is where Sidegate listens, MODEL the model to ask.

import OpenAI from "openai";
import { Agent, fetch } from "undici";

// The agent goes to the socket, whatever host stands in the URL; only its path counts. It works with the `fetch` of its own package.
const dispatcher = new Agent({ connect: { socketPath: process.env.SIDEGATE_SOCKET ?? "/run/sidegate/proxy.sock" } });
const client = new OpenAI({ baseURL: "http://localhost/v1", apiKey: "anything", fetch, fetchOptions: { dispatcher } });

const stream = await client.chat.completions.create({
  model: process.env.MODEL ?? "gpt-4o-mini",
  messages: [{ role: "user", content: process.argv.slice(2).join(" ") || "Say hello." }],
  stream: true,
});
for await (const chunk of stream) {
  for (const choice of chunk.choices) process.stdout.write(choice.delta.content ?? "");
}
process.stdout.write("\n");
await dispatcher.close();
