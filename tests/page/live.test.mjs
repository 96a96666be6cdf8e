// The page of a proxy at work: what it shows is what happens, and its buttons do what they say.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Chromium } from "./chromium.mjs";
import { CONFIG } from "./figures.mjs";
import { Sidegate } from "./sidegate.mjs";

let browser;
before(async () => { browser = await Chromium.start(); });
after(() => browser?.end());

// A story with a proxy and its page, open.
function story(name, config, tell, options) {
  it(name, async () => {
    const sidegate = await Sidegate.start(config);
    try {
      const tab = await browser.tab(options);
      await tab.open(sidegate.page);
      await tab.until("document.querySelector('#keys tbody tr')", "the keys");
      await tell(tab, sidegate);
      assert.deepEqual(tab.complaints, []);
      assert.deepEqual(tab.requests.map(({ url }) => url).filter(url => !url.startsWith(sidegate.page) && !url.startsWith("data:")), []);
    } finally {
      await sidegate.end();
    }
  });
}

// In the page: a figure of the strip, by its title, as a number; what a key's row says under a heading; a notice that holds all of these texts.
const figure = title => `Number([...document.querySelectorAll('#tiles dt')].find(dt => dt.textContent === ${JSON.stringify(title)}).nextSibling.firstChild.textContent.replaceAll(',', ''))`;
const cell = (key, title) => `[...document.querySelectorAll('#keys tbody tr')].find(row => row.cells[0].textContent === ${JSON.stringify(key)})?.querySelector('[data-label="${title}"]').textContent`;
const noticed = (...texts) => `(said => ${JSON.stringify(texts)}.every(text => said.includes(text)))(document.querySelector('#notices').innerText)`;
const classed = name => `Number([...document.querySelectorAll('#classes > div')].find(row => row.firstChild.textContent === ${JSON.stringify(name)}).children[2].textContent.replaceAll(',', ''))`;

describe("the page of a proxy at work", () => {
  for (const theme of ["light", "dark"]) {
    story(`sees traffic move, in the ${theme} theme`, CONFIG, async (tab, sidegate) => {
      assert.equal(await tab.value("document.querySelectorAll('#keys tbody tr').length"), 3, "a row for each key");
      assert.equal(await tab.value(figure("Requests")), 0);
      await Promise.all(Array.from({ length: 20 }, (_, i) => sidegate.chat({ stream: i % 2 === 0 })));
      await tab.until(`${figure("Requests")} > 0`, "requests a second");
      await tab.until("document.querySelector('#requests path.good').getAttribute('d') !== ''", "bars");
      await tab.until("document.querySelector('#latency path.first').getAttribute('d') !== ''", "a line of latency");
      await tab.until(`${classed("2xx 3xx")} === 20`, "twenty answers");
      await tab.until(`${figure("Latency p50")} > 0 && ${figure("First byte p50")} > 0`);
      await tab.until(`Number(${cell("first", "Requests")}) + Number(${cell("second", "Requests")}) === 20`, "they are counted by key");
      await tab.until(`${cell("first", "Success")} === '100 %'`);
      assert.equal(await tab.text("#state"), "ok");
      assert.equal(await tab.value("getComputedStyle(document.body).colorScheme.length > 0 && matchMedia('(prefers-color-scheme: dark)').matches"), theme === "dark");
    }, { theme });
  }

  story("tells errors by their class, and whose key had them", CONFIG, async (tab, sidegate) => {
    assert.equal(await sidegate.chat({ model: "fault-400" }), 400);
    assert.equal(await sidegate.chat({ model: "fault-500" }), 500);
    await tab.until(`${classed("4xx")} === 1 && ${classed("5xx")} === 1`);
    await tab.until(`[${cell("first", "Last error")}, ${cell("second", "Last error")}].some(text => / ago$/.test(text))`, "a key's last error");
  });

  story("sees a stream open and leave", CONFIG, async (tab, sidegate) => {
    const gone = new AbortController();
    const reply = await fetch(`${sidegate.url}/v1/chat/completions`, {
      method: "POST", headers: { "content-type": "application/json" }, signal: gone.signal,
      body: JSON.stringify({ model: "fault-stall", stream: true, messages: [{ role: "user", content: "Hello" }] }),
    });
    await reply.body.getReader().read();
    await tab.until(`${figure("Streams")} === 1 && ${figure("In flight")} === 1 && ${figure("Connections")} >= 1`, "a stream");
    await tab.until(`Number(${cell("first", "In flight")}) + Number(${cell("second", "In flight")}) === 1`, "on its key");
    gone.abort();
    await tab.until(`${figure("Streams")} === 0 && ${figure("In flight")} === 0`, "it has left");
  });

  story("shows why a reload was refused, and that the next one works", CONFIG, async (tab, sidegate) => {
    const broken = CONFIG.replace("targets: [openai]", "targets: [opneai, \"<script>alert(1)</script>\"]");
    await sidegate.configure(broken);
    const line = broken.split("\n").findIndex(text => text.includes("opneai")) + 1;
    await tab.until(noticed("The last reload was refused", "opneai", `line ${line}, column`, "Fix:"), "the refused reload, with line and fix");
    await tab.until(noticed("<script>alert(1)</script>"), "markup as text");
    assert.equal(await tab.text("#generation"), "1");
    assert.equal(await sidegate.chat(), 200, "the last good config serves");
    await sidegate.configure(CONFIG.replace("name: second", "name: renamed"));
    await tab.until("document.querySelector('#notices').hidden || !document.querySelector('#notices').innerText.includes('refused')", "no complaint any more");
    await tab.until("document.querySelector('#generation').textContent !== '1'", "the next generation");
    await tab.until(cell("renamed", "State"), "the key's new name");
  });

  story("reloads at a click", CONFIG, async (tab, sidegate) => {
    await tab.click("#reload");
    await tab.until(noticed("Nothing has changed"), "nothing to reload");
    await sidegate.configure("providers: {");
    await tab.click("#reload");
    await tab.until(noticed("The last reload was refused", "line 1"), "a refusal");
  });

  story("disables a key and enables it again", CONFIG, async (tab, sidegate) => {
    const button = "[aria-label='Disable the key first of openai']";
    await tab.click(button);
    await tab.until(`${cell("first", "State")} === 'disabled'`);
    for (let i = 0; i < 6; i++) assert.equal(await sidegate.chat(), 200);
    await tab.until(`${cell("second", "Requests")} === '6'`, "all went to the other key");
    assert.equal(await tab.value(cell("first", "Requests")), "0");
    await tab.click("[aria-label='Disable the key second of openai']");
    await tab.until("document.querySelector('#confirm').open", "it asks before the last key of a provider goes");
    await tab.click("#confirm-no");
    await tab.click("[aria-label='Enable the key first of openai']");
    await tab.until(`${cell("first", "State")} === 'active'`);
    assert.equal(await tab.value(cell("second", "State")), "active");
  });

  story("tells who is near the end of a limit", `${CONFIG}limits: [{ name: calls, per: ip, requests: 3/h }]\n`, async (tab, sidegate) => {
    const said = title => `document.querySelector('#limits tbody tr')?.querySelector('[data-label="${title}"]').textContent`;
    await tab.until(`${said("Allowed")} === '0' && ${said("Used most by")} === '–'`, "a limit that nobody has met");
    const statuses = [];
    for (let i = 0; i < 5; i++) statuses.push(await sidegate.chat());
    assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
    await tab.until(`${said("Allowed")} === '3' && ${said("Refused")} === '2' && ${said("Used most by")} === '127.0.0.1 3 of 3'`, "its checks and its consumer");
  });

  story("tells what the cache answers, and purges it when asked twice", `${CONFIG}cache: {}\n`, async (tab, sidegate) => {
    const said = title => `[...document.querySelectorAll('#cache tbody tr')].find(row => row.cells[0].textContent === 'In all')?.querySelector('[data-label="${title}"]').textContent`;
    await tab.until(`${said("Hit")} === '0' && ${said("Hit ratio")} === '–'`, "a cache that nobody has asked");
    for (let i = 0; i < 4; i++) assert.equal(await sidegate.chat(), 200);
    await tab.until(`${said("Hit")} === '3' && ${said("Miss")} === '1' && ${said("Hit ratio")} === '75.0 %'`, "three hits");
    await tab.until("document.querySelector('#cache-sum').textContent.startsWith('1 held, ')", "what it holds");
    await tab.click("#purge");
    await tab.until("document.querySelector('#confirm').open", "it asks first");
    await tab.click("#confirm-yes");
    await tab.until(noticed("Purged: 1 gone."), "it is purged");
    await tab.until("document.querySelector('#cache-sum').textContent.startsWith('0 held, ')", "it holds nothing");
    assert.equal(await sidegate.chat(), 200);
    await tab.until(`${said("Miss")} === '2'`, "who asks again pays");
  });

  story("shows the running config without its secrets, and markup in a name as text", CONFIG.replace("name: third", "name: \"<img src=x onerror=alert(1)>\""), async tab => {
    await tab.until(cell("<img src=x onerror=alert(1)>", "State"), "the name as text");
    await tab.click("details[data-name=providers] > summary");
    await tab.until("document.querySelector('details[data-name=providers] pre').innerText.includes('[secret]')");
    assert.ok(!(await tab.value("document.documentElement.outerHTML")).includes("sk-page"));
    assert.equal(await tab.value("document.images.length"), 0);
  });

  story("does with a token what needs one", CONFIG.replace("admin: { address: 127.0.0.1:0 }", "admin: { address: 127.0.0.1:0, token: open-sesame-0123456789 }"), async tab => {
    await tab.until("document.querySelector('#token').offsetParent", "it asks for the token");
    await tab.click("#reload");
    await tab.until(noticed("needs the admin token"), "refused without");
    await tab.click("#token");
    await tab.type("open-sesame-0123456789");
    await tab.click("#reload");
    await tab.until(noticed("Nothing has changed"), "done with");
  });

  story("drains when asked twice, and tells that it has ended", `${CONFIG}drain: { delay: 3s }\n`, async (tab, sidegate) => {
    await tab.click("#drain");
    await tab.until("document.querySelector('#confirm').open");
    await tab.click("#confirm-yes");
    await tab.until(noticed("Draining"), "the drain has begun");
    assert.equal(await sidegate.ended(), 0);
    await tab.until("document.querySelector('#state').textContent === 'no answer'");
  });
});
