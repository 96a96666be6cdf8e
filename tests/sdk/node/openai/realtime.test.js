// Realtime: a WebSocket session, and messages that come back. WebSockets are HTTP/1.1 on every way.

import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import test from "node:test";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { comparing } from "../both.js";
import { connect, failure } from "./client.js";

const same = comparing({ connect: (way) => connect(way, { fetch: undefined }), failure });
const content = [{ type: "input_text", text: "Größe → 東京 🚂" }];

/** The SDK says `wss` whatever the base URL says, so without TLS it is given a bare connection. */
const line = ({ origin }) => {
  const { protocol, hostname, port } = new URL(origin);
  return protocol === "https:" ? {} : { createConnection: () => connectTcp({ host: hostname, port }) };
};

/** All events of a session until one of the last type; each is answered by what `answers` has for its type. */
const session = (model, last, answers) => (client, way) =>
  new Promise((resolve, reject) => {
    const socket = new OpenAIRealtimeWS({ model, options: line(way) }, client);
    const events = [];
    socket.on("error", reject);
    socket.on("event", (event) => {
      events.push(event.type);
      for (const answer of answers[event.type] ?? []) socket.send(answer);
      if (event.type !== last) return;
      socket.close();
      socket.socket.once("close", (code) => resolve({ events, code }));
    });
  });

test("a conversation", async () => {
  const message = { type: "conversation.item.create", item: { type: "message", role: "user", content } };
  const { events, code } = await same(
    session("gpt-realtime", "response.done", { "session.created": [message, { type: "response.create" }] }),
  );
  assert.equal(events[0], "session.created");
  assert.ok(events.filter((type) => type.endsWith("text.delta")).length > 5);
  assert.equal(code, 1000);
});

test("a session that is refused", async () => {
  const failed = await same(session("fault-401", "session.created", {}));
  assert.match(failed.message, /401/);
});
