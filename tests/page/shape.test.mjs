// The page itself: how it looks, what it takes for text, what it keeps, and what it asks of others. The figures are made up here, so
// that each state can be shown.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Chromium } from "./chromium.mjs";
import { Sidegate } from "./sidegate.mjs";
import { CONFIG, figures } from "./figures.mjs";

let browser, sidegate;
before(async () => {
  [browser, sidegate] = await Promise.all([Chromium.start(), Sidegate.start(CONFIG)]);
});
after(async () => {
  await Promise.all([browser?.end(), sidegate?.end()]);
});

// The page, with figures of our own; `change` may alter them.
async function shown(change = () => {}, options = {}) {
  const tab = await browser.tab(options);
  const made = figures();
  change(made);
  await tab.pretend((path, request) => {
    if (request.method === "POST") return made.posted?.(path, request) ?? [200, { result: "unchanged", generation: 7 }];
    return path === "/" ? undefined : made[path.slice(1)];
  });
  await tab.open(sidegate.page);
  await tab.until("document.querySelector('#state').textContent !== 'connecting'", "the first answers");
  return [tab, made];
}

const WITHOUT_SIDEWAYS = "document.documentElement.scrollWidth <= innerWidth";

describe("the page", () => {
  for (const [width, height] of [[380, 800], [820, 1000], [1280, 900], [1600, 1000]]) {
    it(`fits into ${width} pixels`, async () => {
      const [tab] = await shown(made => {
        made.keys.keys[0].name = "a-key-with-a-name-that-is-as-long-as-its-owner-could-make-it-without-a-single-blank".repeat(3);
        made.limits.limits[0].top[0].label = "somebody-with-a-name-without-end".repeat(8);
        made.health.providers[0].name = "a-provider-with-a-long-name".repeat(6);
        made.config.reload.last.problems[0].message = "nothing".repeat(60);
      }, { width, height });
      await tab.until("document.querySelectorAll('#keys tbody tr').length === 3");
      assert.ok(await tab.value(WITHOUT_SIDEWAYS), await tab.value("`${document.documentElement.scrollWidth} wide`"));
      await tab.value("document.querySelectorAll('details').forEach(part => { part.open = true; })");
      assert.ok(await tab.value(WITHOUT_SIDEWAYS), "with the config open");
      assert.deepEqual(tab.complaints, []);
    });
  }

  it("shows markup as the text that it is", async () => {
    const probe = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>";
    const [tab] = await shown(made => plant(made, probe));
    await tab.until("document.querySelectorAll('#keys tbody tr').length === 3");
    const text = await tab.value("document.body.innerText");
    assert.ok(text.split(probe).length > 10, `the probe stands on the page as text:\n${text}`);
    assert.equal(await tab.value("document.querySelectorAll('main script, main img, main svg[onload], header img, [onerror]').length"), 0);
    assert.deepEqual(tab.complaints, []);
  });

  it("asks nobody but the proxy that it came from", async () => {
    const [tab] = await shown();
    await tab.until("document.querySelector('#requests path')");
    const elsewhere = tab.requests.map(({ url }) => url).filter(url => !url.startsWith(sidegate.page) && !url.startsWith("data:"));
    assert.deepEqual(elsewhere, []);
    assert.ok(tab.requests.length >= 5, "it has asked for figures");
  });

  it("runs no script but its own, and reaches nobody but its proxy, whatever gets into it", async () => {
    const [tab] = await shown();
    await tab.value("window.refused = []; addEventListener('securitypolicyviolation', event => refused.push(event.effectiveDirective));");
    const attempts = [
      ["document.body.insertAdjacentHTML('beforeend', '<p id=ran></p>')", "require-trusted-types-for"],
      ["{ const script = document.createElement('script'); script.append('ran()'); document.body.append(script) }", "script-src-elem"],
      ["{ const button = document.createElement('button'); button.setAttribute('onclick', 'ran()'); button.click() }", "script-src-attr"],
      ["fetch('http://127.0.0.1:9/').catch(() => {})", "connect-src"],
      ["{ new Image().src = 'http://127.0.0.1:9/x.png' }", "img-src"],
    ];
    await tab.value("window.ran = () => { document.body.append(Object.assign(document.createElement('p'), { id: 'ran' })) }");
    for (const [attempt, directive] of attempts) {
      await tab.value(`(() => { try { ${attempt} } catch {} })()`);
      await tab.until(`refused.includes(${JSON.stringify(directive)}) || refused.includes("require-trusted-types-for")`, `${attempt} is refused`);
      await tab.value("refused.length = 0");
    }
    assert.equal(await tab.value("document.querySelectorAll('#ran').length"), 0);
  });

  it("is kept by no cache and shown in no frame", async () => {
    const { headers } = await fetch(sidegate.page);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.match(headers.get("content-security-policy"), /frame-ancestors 'none'/);
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  });

  it("keeps a token in memory alone, and sends it with what changes something", async () => {
    const sent = [];
    const [tab] = await shown(made => {
      made.posted = (path, { headers }) => {
        sent.push(headers.Authorization ?? headers.authorization);
        return sent.at(-1) === "Bearer open-sesame" ? [200, { result: "unchanged", generation: 7 }] : [401, { error: { message: "no token" } }];
      };
    });
    assert.equal(await tab.value("document.querySelector('#token').offsetParent"), null, "nobody asks for a token yet");
    await tab.click("#reload");
    await tab.until("document.activeElement.id === 'token'", "it asks for a token");
    assert.match(await tab.text("#notices"), /needs the admin token/);
    await tab.type("open-sesame");
    await tab.click("#reload");
    await tab.until("document.querySelector('#notices').innerText.includes('Nothing has changed')");
    assert.deepEqual(sent, [undefined, "Bearer open-sesame"]);
    const kept = await tab.value("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])");
    assert.ok(!kept.includes("open-sesame"), kept);
    assert.ok(!(await tab.value("document.documentElement.outerHTML")).includes("open-sesame"));
  });

  it("can be used by keyboard alone", async () => {
    const [tab, made] = await shown(made => { made.posted = path => { made.asked = path; return [202, { status: "draining" }]; }; });
    await tab.until("document.querySelectorAll('#keys tbody tr').length === 3");
    const reached = [];
    for (let i = 0; i < 30; i++) {
      await tab.press("Tab");
      reached.push(await tab.value("(e => e.id || e.getAttribute('aria-label') || e.textContent.slice(0, 20))(document.activeElement)"));
    }
    for (const stop of ["theme", "reload", "drain", "Disable the key first of openai", "Enable the key third of anthropic"]) assert.ok(reached.includes(stop), `${stop} in ${reached}`);
    assert.ok(reached.indexOf("theme") < reached.indexOf("reload") && reached.indexOf("reload") < reached.indexOf("drain"), "in the order in which they stand");

    await tab.value("document.querySelector('#drain').focus()");
    await tab.press("Enter");
    await tab.until("document.querySelector('#confirm').open");
    assert.equal(await tab.value("document.activeElement.id"), "confirm-no", "the harmless answer first");
    await tab.press("Escape");
    await tab.until("!document.querySelector('#confirm').open");
    assert.equal(made.asked, undefined, "nothing was drained");
    await tab.press("Enter");
    await tab.until("document.querySelector('#confirm').open");
    await tab.press("Tab");
    await tab.press("Enter");
    await tab.until("document.querySelector('#said').textContent === 'Draining'");
    assert.equal(made.asked, "/drain");
  });

  it("names everything for those who hear it", async () => {
    const [tab] = await shown();
    await tab.until("document.querySelectorAll('#keys tbody tr').length === 3");
    const { nodes } = await tab.send("Accessibility.getFullAXTree");
    const named = nodes.filter(({ ignored, role }) => !ignored && ["button", "textbox", "searchbox", "combobox", "image", "table", "region", "dialog"].includes(role?.value));
    const nameless = named.filter(({ name }) => !name?.value).map(({ role }) => role.value);
    assert.deepEqual(nameless, []);
    const roles = new Set(nodes.filter(({ ignored }) => !ignored).map(({ role }) => role?.value));
    for (const role of ["banner", "main", "contentinfo", "heading", "table", "columnheader", "row", "cell", "status"]) assert.ok(roles.has(role), `there is no ${role}`);
  });

  it("asks nothing while nobody sees it", async () => {
    const [tab] = await shown();
    await tab.value("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true }); document.dispatchEvent(new Event('visibilitychange'));");
    // What was on its way comes to its end; then three seconds in which it would have asked at least twice.
    await tab.value("new Promise(resolve => setTimeout(resolve, 1500))");
    const before = tab.requests.length;
    await tab.value("new Promise(resolve => setTimeout(resolve, 3000))");
    assert.equal(tab.requests.length, before);
    await tab.value("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'));");
    await tab.until("document.querySelector('#state').textContent === 'degraded'");
    await waitFor(() => tab.requests.length > before);
  });

  it("tells when nothing answers, and when it does again", async () => {
    const [tab, made] = await shown();
    await tab.until("document.querySelectorAll('#keys tbody tr').length === 3");
    const kept = { ...made };
    for (const name of Object.keys(made)) made[name] = null;
    await tab.until("document.querySelector('#state').textContent === 'no answer'");
    assert.match(await tab.text("#notices"), /Sidegate does not answer/);
    assert.equal(await tab.value("document.querySelectorAll('#keys tbody tr').length"), 3, "the last that was heard stands");
    Object.assign(made, kept);
    await tab.until("document.querySelector('#state').textContent === 'degraded'");
    assert.doesNotMatch(await tab.text("#notices"), /does not answer/);
  });

  it("tells which part does not answer, and shows the rest", async () => {
    const [tab] = await shown(made => { made.keys = 500; });
    await tab.until("document.querySelector('#notices').innerText.includes('/keys')");
    assert.match(await tab.text("#notices"), /HTTP 500/);
    assert.equal(await tab.text("#state"), "degraded");
  });

  it("says what a restart would change, and that a drain has begun", async () => {
    const [tab, made] = await shown(made => { Object.assign(made.config.reload.last, { result: "restart_required", problems: [], fields: ["listen.address", "admin.address"] }); });
    await tab.until("document.querySelector('#notices').innerText.includes('needs a restart')");
    assert.match(await tab.text("#notices"), /listen\.address, admin\.address/);
    made.health.status = "draining";
    made.health = [503, made.health];
    await tab.until("document.querySelector('#notices').innerText.includes('Draining')");
    assert.match(await tab.text("#notices"), /7 in flight, 5 streams/);
    assert.ok(await tab.value("document.querySelector('#drain').disabled"));
  });

  it("finds a key among many, and keeps the focus where it was while figures change", async () => {
    const [tab, made] = await shown(made => {
      made.keys.keys = Array.from({ length: 300 }, (_, i) => ({ ...made.keys.keys[0], id: `openai.${i}`, name: `key-${i}`, state: i === 7 ? "cooling" : "active" }));
    });
    await tab.until("document.querySelectorAll('#keys tbody tr').length === 300");
    await tab.click("#find");
    await tab.type("cooling");
    await tab.until("document.querySelectorAll('#keys tbody tr').length === 1");
    assert.match(await tab.text("#keys tbody tr"), /^key-7\b/);
    await tab.value("document.querySelector('#keys tbody button').focus()");
    made.keys.keys[7].requests = 4321;
    await tab.until("document.querySelector('#keys tbody tr').innerText.includes('4,321')");
    assert.equal(await tab.value("document.activeElement.getAttribute('aria-label')"), "Disable the key key-7 of openai");
  });

  it("shows each limit, and who uses it most", async () => {
    const [tab, made] = await shown();
    await tab.until("document.querySelectorAll('#limits tbody tr').length === 2");
    const said = row => tab.value(`[...document.querySelectorAll('#limits tbody tr')[${row}].cells].map(cell => cell.textContent)`);
    assert.deepEqual(await said(0), ["per-address", "requests per ip", "100/min, burst 150", "all", "1,200", "34", "1,000,000", "96.0 MiB", "203.0.113.7 150 of 150, somebody 20 of 150"]);
    assert.deepEqual(await said(1), ["spendshadow", "cost per client", "0.5 USD/day", "tier free or trial, model gpt-*", "1,200", "5 would be", "1,000,000", "96.0 MiB", "shop 0.25 of 0.5"]);
    made.limits.limits = [];
    await tab.until("document.querySelector('#limits-empty').offsetParent", "there is none any more");
  });

  it("reads one second in every chart when it is pointed at", async () => {
    const [tab] = await shown();
    await tab.until("document.querySelector('#latency path')");
    const [x, y] = await tab.value("(box => [box.right - 1, box.y + 40])(document.querySelector('#requests').getBoundingClientRect())");
    await tab.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    await tab.until("document.querySelector('#requests-read').textContent === 'now: 43, of them 4xx 2, 5xx 0'");
    assert.equal(await tab.text("#latency-read"), "now: p50 359 ms, p95 1.20 s");
    await tab.send("Input.dispatchMouseEvent", { type: "mouseMoved", x: 5, y: 5 });
    await tab.until("document.querySelector('#requests-read').textContent === 'at most 46'");
  });

  it("has both themes, by the system's choice and by one's own", async () => {
    const [tab] = await shown(() => {}, { theme: "dark" });
    const ground = () => tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 128");
    assert.ok(await ground(), "dark as the system");
    await tab.theme("light");
    assert.ok(!await ground(), "light as the system");
    await tab.value("(theme => { theme.value = 'dark'; theme.dispatchEvent(new Event('change')); })(document.querySelector('#theme'))");
    assert.ok(await ground(), "dark by choice");
    await tab.open(sidegate.page);
    await tab.until("document.querySelector('#theme')?.value === 'dark'", "the choice lasts");
    assert.ok(await ground());
  });

  for (const theme of ["light", "dark"]) {
    it(`can be read in the ${theme} theme`, async () => {
      const [tab] = await shown(() => {}, { theme });
      await tab.until("document.querySelectorAll('#keys tbody tr').length === 3");
      const faint = await tab.value(`(${faintTexts})()`);
      // WCAG 2.2 §1.4.3 (AA).
      assert.deepEqual(faint, []);
    });
  }
});

// In the page: texts whose contrast to what is behind them is less than 4.5.
function faintTexts() {
  const rgb = colour => colour.match(/[\d.]+/g).map(Number);
  const light = colour => { const [r, g, b] = rgb(colour).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
  const ground = element => { for (let e = element; e; e = e.parentElement) { const colour = getComputedStyle(e).backgroundColor; if (rgb(colour)[3] !== 0) return colour; } return "rgb(255,255,255)"; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), faint = [];
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.getClientRects().length || element.closest("script, style")) continue;
    const style = getComputedStyle(element), a = light(element.closest("svg") ? style.fill : style.color), b = light(ground(element)), contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    seen++;
    if (contrast < 4.5 && !element.disabled) faint.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  if (seen < 50) faint.push(`only ${seen} texts were seen`);
  return faint;
}

// Puts the probe into every text of an answer, but for those that choose what is shown.
function plant(value, probe) {
  for (const [name, inner] of Object.entries(value)) {
    if (typeof inner === "object" && inner !== null) plant(inner, probe);
    else if (typeof inner === "string" && !["at", "loaded_at", "result", "until"].includes(name)) value[name] = `${inner}${probe}`;
  }
}

async function waitFor(condition) {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "not in 10 s");
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
