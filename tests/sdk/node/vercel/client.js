// The AI SDK, with its providers for OpenAI and Anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { DIRECT, comparing } from "../both.js";

/** The providers of one way. At Sidegate `/v1` alone is OpenAI's. */
function connect(way) {
  const anthropic = way.url(way.origin === DIRECT.origin ? "/v1" : "/anthropic/v1");
  return {
    openai: createOpenAI({ baseURL: way.url("/v1"), apiKey: "sk-anything", fetch: way.fetch }),
    anthropic: createAnthropic({ baseURL: anthropic, apiKey: "sk-ant-anything", fetch: way.fetch }),
  };
}

/** Everything that a program can tell about an error. */
function failure(error) {
  const { name, reason, statusCode, isRetryable, data, errors, lastError } = error;
  const behind = lastError ? failure(lastError) : null;
  return { name, reason, statusCode, isRetryable, data: data?.error ?? null, attempts: errors?.length ?? null, behind };
}

export const same = comparing({ connect, failure });
