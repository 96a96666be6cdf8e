// Anthropic's own SDK. It puts `/v1` behind the base URL; at Sidegate `/v1` alone is OpenAI's.

import Anthropic from "@anthropic-ai/sdk";
import { DIRECT, comparing } from "../both.js";

const REQUEST_ID = /\breq_[0-9A-Za-z]+/g;

/** A client that does not try again, unless the scenario is about that. */
function connect(way, options = {}) {
  const baseURL = way.url(way.origin === DIRECT.origin ? "" : "/anthropic");
  return new Anthropic({ baseURL, apiKey: "sk-ant-anything", maxRetries: 0, timeout: 10_000, fetch: way.fetch, ...options });
}

/** Everything that a program can tell about an error; the id of a request is made anew for each. */
function failure(error) {
  const seen = { error: error.constructor.name, message: error.message.replace(REQUEST_ID, "req") };
  if (error instanceof Anthropic.APIError) Object.assign(seen, { status: error.status, body: error.error?.error });
  return seen;
}

export const same = comparing({ connect, failure });
