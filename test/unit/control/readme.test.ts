/** The declarations in the README are accepted as they stand there; what they refer to and do not show is made up. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { checkDeclaration } from "#control/config/check.ts";
import { withTlsFiles } from "#control/config/tls-files.ts";
import { thisInstallation } from "#main/confine/installation.ts";
import { TestAuthority } from "#test/support/certificates.ts";

type Item = Readonly<Record<string, unknown>>;
type Part = Readonly<Record<string, readonly Item[] | Readonly<Record<string, readonly Item[]>>>>;

const README = readFileSync(join(thisInstallation().root, "README.md"), "utf8");
const PARTS = /^(listeners|upstreams|filters|kernel|certificates|routes|settings):/;

const authority = new TestAuthority();
const site = authority.issue();
const FILES: Readonly<Record<string, string>> = { "site.pem": site.certificate, "site.key": site.key };
afterAll(() => authority.dispose());

/** Indented blocks that begin with a part of a declaration. */
const examples = README.split(/\n(?! {4}|\n)[^\n]*/)
  .map((block) =>
    block
      .replaceAll(/^ {4}/gm, "")
      .replace(/^\$ [^]*/m, "")
      .trim(),
  )
  .filter((block) => PARTS.test(block))
  .map((block): [string, Part] => [block.slice(0, 60).replaceAll(/\s+/g, " "), parse(block) as Part]);

const named = (names: readonly string[], rest: Item): Item[] => names.map((name) => ({ name, ...rest }));

function lists(part: Part, key: string, madeUp: readonly Item[]): Item[] {
  const own = (part[key] ?? []) as readonly Item[];
  const names = new Set(own.map(({ name }) => name));
  return [...own, ...madeUp.filter(({ name }) => !names.has(name))];
}

const MODULE = { tenant: "ops", digest: "0".repeat(64) } as const;

/** The block with whatever it refers to. */
function completed(part: Part): object {
  const { filters } = part;
  const kernel = (part["kernel"] ?? {}) as Readonly<Record<string, readonly Item[]>>;
  const route = { name: "example", tenant: "ops", listeners: ["web"], filters, upstream: "idp" };
  const maps = [
    { name: "blocklist", type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 10 },
    { name: "failures", type: "lru-hash", key: "ip", value: "counter", maxEntries: 10 },
  ];
  return {
    listeners: lists(part, "listeners", [
      { name: "web", address: "127.0.0.1:8080", protocol: "http" },
      { name: "steered", address: "127.0.0.1:18000", protocol: "http", transparent: true },
    ]),
    upstreams: lists(
      part,
      "upstreams",
      named(["idp", "pg", "resolver", "shop-tls"], { endpoints: [{ address: "127.0.0.1:9" }] }),
    ),
    tenants: [
      { name: "ops", hosts: ["*"] },
      { name: "acme", hosts: ["*.acme.example"] },
    ],
    plugins: [
      ...named(["token-check", "header-rewrite", "abuse-banner", "checker"], { ...MODULE, version: "1" }),
      ...named(["checker"], { ...MODULE, version: "2" }),
    ],
    routes: lists(part, "routes", filters === undefined ? [] : [route]),
    certificates: part["certificates"] ?? [],
    kernel: { ...kernel, maps: lists(kernel, "maps", maps) },
    ...("settings" in part ? { settings: part["settings"] } : {}),
  };
}

describe("the README's declarations", () => {
  it("are found", () => {
    expect(examples.length).toBeGreaterThanOrEqual(7);
  });

  it.each(examples)("%s …", (_, part) => {
    const { declaration, findings } = withTlsFiles(completed(part), (file) =>
      Buffer.from(FILES[file] ?? authority.certificate),
    );
    expect(findings).toEqual([]);
    const checked = checkDeclaration(declaration, {
      moduleBytes: () => 1,
      modulesRequired: false,
      actor: undefined,
    });
    expect("findings" in checked ? checked.findings : []).toEqual([]);
  });
});
