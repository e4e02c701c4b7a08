import { expect, it } from "vitest";
import { secretsIn, withSecrets } from "#snapshot/secrets.ts";
import type { FilterSpec, PluginFilterSpec } from "#snapshot/snapshot.ts";

const VALUES: Readonly<Record<string, string>> = { key: "k3y", odd: 'a "b"\n$& \\' };
const valueOf = (name: string): string => VALUES[name] ?? `no ${name}`;

const plugin = (config: PluginFilterSpec["config"], more: Partial<PluginFilterSpec> = {}): PluginFilterSpec => ({
  kind: "plugin",
  plugin: 0,
  config,
  limits: { fuel: 1, memoryBytes: 65_536, deadlineMs: 1 },
  onFault: "deny",
  allow: { upstreams: [], maps: [] },
  ...more,
});

it("finds what is referred to, however deep", () => {
  expect([...secretsIn({ a: ["x ${secret:one} ${secret:two}", { b: "${secret:one}" }], c: 1, d: null })]).toEqual([
    "one",
    "two",
  ]);
  expect(secretsIn(["${SECRET}", "$secret:a", "${secret:A}", "${secret:}", "${file:a}"]).size).toBe(0);
});

it("puts values in, as they are", () => {
  const { config } = withSecrets(plugin({ a: "Bearer ${secret:key}", b: "${secret:odd}", c: "1" }), valueOf);
  expect(config).toEqual({ a: "Bearer k3y", b: VALUES["odd"], c: "1" });
});

it("keeps JSON what it is", () => {
  const json = JSON.stringify({ token: "${secret:odd}", list: ["${secret:key}"] });
  const made = { token: VALUES["odd"], list: ["k3y"] };
  const vm = { rootId: "", id: "", configuration: json };
  const filled = withSecrets(plugin({ nested: json }, { configText: json, vm }), valueOf);
  for (const text of [filled.config["nested"], filled.configText, filled.vm?.configuration]) {
    expect(JSON.parse(text ?? "")).toEqual(made);
  }
});

it("fills what is built in, and leaves what refers to nothing the object it was", () => {
  const headers = (value: string): FilterSpec => ({
    kind: "builtin",
    name: "headers",
    config: { request: { set: { "x-key": value }, add: {}, remove: [] }, response: { set: {}, add: {}, remove: [] } },
  });
  expect(withSecrets(headers("${secret:key}"), valueOf)).toEqual(headers("k3y"));
  const plain = headers("${secret}");
  expect(withSecrets(plain, valueOf)).toBe(plain);
});
