// What the admin endpoints would tell of a busy proxy with some trouble, as the page expects it.

export const CONFIG = `
listen: { address: 127.0.0.1:0 }
admin: { address: 127.0.0.1:0 }
providers:
  openai: { dialect: openai, base_url: %MOCK%/v1, keys: [{ name: first, value: sk-page-first }, { name: second, value: sk-page-second }] }
  anthropic: { dialect: anthropic, base_url: %MOCK%, keys: [{ name: third, value: sk-page-third }] }
routes:
  - { path: /v1, targets: [openai] }
  - { path: /anthropic, targets: [anthropic] }
clients: { anonymous: free }
`;

const sixty = make => Array.from({ length: 60 }, (_, i) => make(i));
const percentiles = p50 => ({ mean: p50 * 1.2, p50, p90: p50 * 2, p95: p50 * 3, p99: p50 * 5 });

export function figures() {
  const now = Date.now();
  const key = (provider, name, fingerprint, more) => ({
    id: `${provider}.${fingerprint}`, provider, name, fingerprint, state: "active", weight: 1, account: null, in_flight: 2, requests: 1200,
    success_rate: .998, latency_ms: 180, last_error: null, until: null, ...more,
  });
  const provider = (name, state, error_rate) => ({ name, state, keys_active: 1, keys_total: 2, connections: 4, in_flight: 3, requests_per_second: 12.5, error_rate });
  const consumer = (label, used, limit) => ({ label, used, limit, remaining: limit - used, reset_seconds: 30 });
  const limit = (name, unit, more) => ({
    name, unit, when: {}, amount: 100, burst: null, window_seconds: 60, shadow: false, checks: { allowed: 1200, refused: 34, shadowed: 5 }, subjects: 1_000_000,
    memory_bytes: 96 * 2 ** 20, shared: 0, most_refused: [], ...more,
  });
  return {
    stats: {
      now_ms: now, window_seconds: 60, requests_per_second: 40.2, latency_ms: percentiles(310), first_byte_ms: percentiles(180),
      statuses: { "2xx": 2300, "3xx": 0, "4xx": 80, "5xx": 12 }, in_flight: 7, streams: 5, connections: 9, queue: 0,
      series: {
        requests: sixty(i => 40 + i % 7), "2xx": sixty(i => 38 + i % 7), "4xx": sixty(() => 2), "5xx": sixty(i => (i === 30 ? 12 : 0)),
        latency_p50_ms: sixty(i => (i % 20 === 3 ? null : 300 + i)), latency_p95_ms: sixty(i => (i % 20 === 3 ? null : 900 + 5 * i)),
      },
      totals: { requests: 120_000, errors: 120, bytes_up: 5e7, bytes_down: 9e9 },
    },
    health: {
      status: "degraded", version: "0.0.0", uptime_seconds: 90_061, generation: 7, requests_per_second: 40.2, latency_ms: percentiles(310),
      memory_bytes: 25e6, cpu_percent: 12.5, connections: 9, streams: 5, providers: [provider("openai", "ok", .002), provider("anthropic", "down", 1)],
    },
    keys: {
      keys: [
        key("openai", "first", "aaaa1111"),
        key("openai", "second", "bbbb2222", { account: "org-b", success_rate: .5, last_error: { class: "rate_limited", at: now - 70_000 } }),
        key("anthropic", "third", "cccc3333", { state: "disabled", success_rate: null, latency_ms: null }),
      ],
    },
    limits: {
      limits: [
        limit("per-address", "requests", { per: ["ip"], rate: "100/min", burst: 150, top: [consumer("203.0.113.7", 150, 150), consumer(null, 20, 150)] }),
        limit("spend", "cost", { per: ["client"], when: { tier: ["free", "trial"], model: "gpt-*" }, rate: "0.5 USD/day", shadow: true, top: [consumer("shop", .25, .5)] }),
      ],
    },
    cache: {
      routes: 2, entries: 12_345, max_entries: 100_000, bytes: 96 * 2 ** 20, max_bytes: 256 * 2 ** 20, evictions: 7,
      last_minute: { hit: 900, stale: 1, collapsed: 40, miss: 59, bypass: 12, hit_ratio: .94 },
      total: { hit: 90_000, stale: 3, collapsed: 4000, miss: 30_000, bypass: 1200, hit_ratio: .758 },
      saved: { tokens_in: 1_200_000, tokens_out: 34_000, cost_usd: 3.4 },
    },
    config: {
      generation: 7, source: "proxy.yaml", loaded_at: now - 3_700_000,
      reload: {
        last: {
          result: "refused", trigger: "file", at: now - 60_000, fields: [],
          problems: [{ field: "routes[0].targets[0]", line: 8, column: 28, message: "there is no provider `opneai`", fix: "did you mean `openai`?" }],
        },
        applied: 6, refused: 1,
      },
      config: { listen: { address: "127.0.0.1:8080" }, providers: { openai: { base_url: "http://localhost/v1", keys: [{ name: "first", value: "[secret]" }] } }, routes: [{ path: "/v1", targets: ["openai"] }] },
    },
  };
}
