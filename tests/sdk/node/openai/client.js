// OpenAI's own SDK.

import OpenAI from "openai";
import { comparing } from "../both.js";

/** A client that does not try again, unless the scenario is about that. */
export function connect(way, options = {}) {
  return new OpenAI({ baseURL: way.url("/v1"), apiKey: "sk-anything", maxRetries: 0, timeout: 10_000, fetch: way.fetch, ...options });
}

/** Everything that a program can tell about an error. */
export function failure(error) {
  const seen = { error: error.constructor.name, message: error.message };
  if (error instanceof OpenAI.APIError) {
    const { status, type, param, code } = error;
    Object.assign(seen, { status, type, param, code, body: error.error });
    Object.assign(seen, { retryAfter: error.headers?.get("retry-after") ?? null, requestId: Boolean(error.requestID) });
  }
  return seen;
}

export const same = comparing({ connect, failure });
