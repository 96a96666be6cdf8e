// Takes the screenshots of the docs: a minute of varied traffic, the page in both themes, the dark one with a reload that was refused.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";

import { Chromium } from "./chromium.mjs";
import { Sidegate } from "./sidegate.mjs";

const FOLDER = "docs/images";
const CONFIG = `
listen: { address: 127.0.0.1:0 }
admin: { address: 127.0.0.1:0 }
providers:
  openai:
    base_url: %MOCK%/v1
    keys:
      - { name: OPENAI_API_KEY, value: sk-shown-1 }
      - { name: OPENAI_API_KEY_2, value: sk-shown-2 }
      - { name: burst, value: sk-shown-3, weight: 0.2, account: org-b }
  azure:
    dialect: azure
    base_url: %MOCK%/openai/v1
    keys: [{ name: AZURE_API_KEY, value: sk-shown-4 }]
  anthropic:
    dialect: anthropic
    base_url: %MOCK%
    keys: [{ name: ANTHROPIC_API_KEY, value: sk-shown-5 }, { name: ANTHROPIC_API_KEY_2, value: sk-shown-6, weight: 0 }]
routes:
  - { path: /v1, targets: [openai] }
  - { path: /openai/v1, targets: [azure] }
  - { path: /anthropic, targets: [anthropic] }
clients: { anonymous: free }
`;

// One request of the mix, in a second of the minute. What it is answered does not matter here.
function send(url, n, second) {
  const body = { max_tokens: 8 + (n * 7919) % 130, stream: n % 3 !== 0, messages: [{ role: "user", content: "Hello" }] };
  const model = second > 34 && second < 41 && n % 6 === 0 ? "fault-500" : n % 29 === 0 ? "fault-400" : "gpt-4o";
  const [path, headers] = n % 5 === 0 ? ["/openai/v1/chat/completions", {}] : n % 4 === 0 ? ["/anthropic/v1/messages", { "anthropic-version": "2023-06-01" }] : ["/v1/chat/completions", {}];
  return fetch(url + path, { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify({ model, ...body }) })
    .then(reply => reply.arrayBuffer()).catch(() => {});
}

// Twelve to forty a second, in waves, until told to stop.
async function traffic(url, until) {
  const all = [], start = Date.now();
  for (let n = 1; !until.aborted; n++) {
    const second = (Date.now() - start) / 1000;
    all.push(send(url, n, second));
    await new Promise(resolve => setTimeout(resolve, 1000 / (26 + 14 * Math.sin(second / 9))));
  }
  return Promise.all(all);
}

async function shoot(tab, name) {
  mkdirSync(FOLDER, { recursive: true });
  const file = `${FOLDER}/${name}.png`;
  writeFileSync(file, await tab.screenshot());
  // A few colours are all it has. Without the tool the file is three times as large.
  try { execFileSync("pngquant", ["--force", "--skip-if-larger", "--strip", "--speed", "1", "--output", file, "128", file]); } catch { console.log(`${file} is as it came: pngquant is missing`); }
}

const browser = await Chromium.start();
const sidegate = await Sidegate.start(CONFIG);
try {
  const tab = await browser.tab({ width: 1280, height: 900 });
  await tab.open(sidegate.page);
  const enough = new AbortController(), sent = traffic(sidegate.url, enough.signal);
  await new Promise(resolve => setTimeout(resolve, 64_000));
  await shoot(tab, "admin-light");
  await sidegate.configure(CONFIG.replace("targets: [azure]", "targets: [azur]"));
  await tab.theme("dark");
  await tab.until("document.querySelector('#notices').innerText.includes('refused')");
  await shoot(tab, "admin-dark");
  enough.abort();
  await sent;
} finally {
  await Promise.all([browser.end(), sidegate.end()]);
}
