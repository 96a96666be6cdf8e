// What the SDK makes of Sidegate's own limits, with the tries that it makes by default.
//
// The tier `brisk` has two requests in two seconds, `slow` two in a quarter of an hour. Each scenario has a key to itself.

import assert from "node:assert/strict";
import test from "node:test";
import OpenAI from "openai";

const LIMITED = process.env.SIDEGATE_LIMITED_URL;
const skip = LIMITED ? false : "the provider itself has no such limits";
const request = { model: "gpt-4o", messages: [{ role: "user", content: "Hello" }] };

/** A client as a program makes it, and each request that goes out. */
function counting(apiKey) {
  const sent = [];
  const counted = (url, init) => {
    sent.push(String(url));
    return fetch(url, init);
  };
  return { one: new OpenAI({ baseURL: `${LIMITED}/v1`, apiKey, fetch: counted }), sent };
}

test("a short wait is waited for", { skip }, async () => {
  const { one, sent } = counting("sg-brisk-1");
  const begin = performance.now();
  for (let asked = 0; asked < 5; asked++) {
    const before = sent.length;
    const reply = await one.chat.completions.create(request);
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.ok(sent.length - before <= 2, `request ${asked} came back too early`);
  }
  // Two at once, two when those have passed, and one more.
  assert.ok(performance.now() - begin >= 4_000);
  assert.ok(sent.length > 5, "nothing was limited");
});

test("a stream is waited for as well", { skip }, async () => {
  const { one, sent } = counting("sg-brisk-2");
  for (let asked = 0; asked < 3; asked++) {
    const chunks = [];
    for await (const chunk of await one.chat.completions.create({ ...request, stream: true })) chunks.push(chunk);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  }
  assert.ok(sent.length > 3);
});

test("several at once are all served", { skip }, async () => {
  const { one, sent } = counting("sg-brisk-3");
  await Promise.all([1, 2, 3, 4].map(() => one.models.list()));
  assert.ok(sent.length > 4 && sent.length <= 12, `${sent.length} requests`);
});

test("a long wait is an error at once", { skip }, async () => {
  const { one, sent } = counting("sg-slow-1");
  for (let asked = 0; asked < 2; asked++) await one.models.list();
  const error = await one.chat.completions.create(request).then(assert.fail, (error) => error);
  assert.ok(error instanceof OpenAI.RateLimitError, String(error));
  assert.equal(sent.length, 3, "it was asked again and again");
  assert.deepEqual([error.code, error.type, error.param], ["rate_limit_exceeded", "requests", null]);
  assert.match(error.message, /Limit `slow` \(2 requests in 15 minutes\) is used up\. Please try again in 1[45]m\d+s\./);
  assert.equal(error.headers.get("x-sidegate-limit"), "slow");
  const seconds = Number(error.headers.get("retry-after"));
  assert.ok(seconds > 60 && seconds <= 900, `${seconds}`);
  assert.ok(error.requestID);
});

test("a program reads what is left", { skip }, async () => {
  const { one } = counting("sg-slow-2");
  const { response } = await one.chat.completions.create(request).withResponse();
  const told = [...response.headers].filter(([name]) => name.includes("ratelimit"));
  assert.deepEqual(told, [
    ["x-ratelimit-limit-requests", "2"],
    ["x-ratelimit-remaining-requests", "1"],
    ["x-ratelimit-reset-requests", "15m0s"],
  ]);
});
