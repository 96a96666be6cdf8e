// Google's own SDK, for the Gemini API. It brings Node's own `fetch`, and with it HTTP/1.1 on every way.

import { GoogleGenAI } from "@google/genai";
import { DIRECT, comparing } from "../both.js";

/** A client; at Sidegate the bare path is OpenAI's. */
function connect(way) {
  const baseUrl = way.url(way.origin === DIRECT.origin ? "" : "/gemini");
  return new GoogleGenAI({ apiKey: "AIza-anything", httpOptions: { baseUrl, timeout: 10_000 } });
}

/** Everything that a program can tell about an error. */
function failure(error) {
  return { error: error.constructor.name, status: error.status ?? null, message: error.message };
}

export const same = comparing({ connect, failure });
