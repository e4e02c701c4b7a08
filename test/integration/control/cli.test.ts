import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { COMMON_OPTIONS, UsageError, type VerbContext } from "#main/cli/verb.ts";
import { VERBS } from "#main/cli/verbs.ts";
import { Client } from "#main/cli/client.ts";
import { FakeSupervisor, wasmModule } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;
let cwd: string;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  cwd = mkdtempSync(join(tmpdir(), "penstock-cli-"));
  await gateway.start();
});
afterAll(async () => {
  rmSync(cwd, { recursive: true, force: true });
  await gateway.dispose();
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly notes: string;
}

async function penstock(line: string | readonly string[], env: VerbContext["env"] = {}, width = 80): Promise<Ran> {
  const [name = "", ...rest] = typeof line === "string" ? line.split(" ") : line;
  const verb = defined(VERBS[name], name);
  const args = parseArgs({ args: rest, options: { ...COMMON_OPTIONS, ...verb.options }, allowPositionals: true });
  const printed: string[] = [];
  const noted: string[] = [];
  const out = {
    print: (text: string) => void printed.push(text),
    note: (text: string) => void noted.push(text),
    json: args.values["json"] === true,
    progress: () => undefined,
    interactive: true,
    width,
  };
  const code = await verb.run(args, out, { env, cwd, dataDir: gateway.dataDir });
  return { code, out: printed.join("\n"), notes: noted.join("\n") };
}

function write(name: string, text: string | Uint8Array): void {
  mkdirSync(join(cwd, name, ".."), { recursive: true });
  writeFileSync(join(cwd, name), text);
}

const GOOD = `
listeners:
  - { name: web, address: "127.0.0.1:8080", protocol: http }
upstreams:
  - { name: api, endpoints: [{ address: "127.0.0.1:9001" }] }
tenants:
  - { name: acme, hosts: ["*.acme.example"] }
plugins:
  - { name: check, tenant: acme, version: "1", file: build/check.wasm }
routes:
  - { name: orders, tenant: acme, listeners: [web], filters: [{ plugin: "check@1" }], upstream: api }
kernel:
  maps:
    - { name: blocklist, type: lpm-trie, key: ip-prefix, value: expiry, maxEntries: 100 }
`;

describe("apply", () => {
  it("says what it would do, does it, and then finds nothing to do", async () => {
    write("good/penstock.yaml", GOOD);
    write("good/build/check.wasm", wasmModule(1));
    const dry = await penstock("apply -f good/penstock.yaml --dry-run");
    expect(dry).toMatchObject({ code: 0, notes: "" });
    expect(dry.out).toContain("+ routes acme/orders\n+ kernel/maps blocklist\nnothing was changed (dry run)");
    expect(gateway.applied).toHaveLength(0);
    const real = await penstock("apply -f good/penstock.yaml");
    expect(real.out).toMatch(/revision 1 is in force$/);
    expect(real.notes).toBe("note: maps are in user space");
    expect((await penstock("apply -f good/penstock.yaml")).out).toBe("nothing to change; revision 1 is in force");
    expect(gateway.applied).toHaveLength(1);
    expect(gateway.built).toHaveLength(2);
  });

  it("shows the difference, field by field", async () => {
    write("good/changed.yaml", GOOD.replace("9001", "9002").replace(/ {2}maps:[^]*/, "  maps: []\n"));
    const { out } = await penstock("diff -f good/changed.yaml");
    expect(out.split("\n")).toEqual([
      "~ upstreams api",
      '    /endpoints: [{"address":"127.0.0.1:9001"}] → [{"address":"127.0.0.1:9002"}]',
      "- kernel/maps blocklist",
      "nothing was changed (dry run)",
    ]);
  });

  it("takes a folder, whose files are one declaration", async () => {
    const [listeners = "", rest = ""] = GOOD.split("upstreams:");
    write("folder/a.yaml", listeners);
    write("folder/b.yml", `upstreams:${rest.replace("build/", "../good/build/")}`);
    expect((await penstock("apply -f folder")).out).toBe("nothing to change; revision 1 is in force");
    write("folder/d.json", '{"settings": {"accessLog": "off"}}');
    expect((await penstock("diff -f folder")).out).toContain('/accessLog: (none) → "off"');
    rmSync(join(cwd, "folder/d.json"));
    write("folder/c.yaml", "listeners:\n  - name: web\n    address: 127.0.0.1:8081\n    protocol: http\n");
    const refused = await penstock("apply -f folder");
    expect(refused.code).toBe(1);
    expect(refused.notes).toContain(
      'folder/c.yaml:2:5 /listeners/1/name: listener "web" is declared at /listeners/0 already',
    );
  });

  it("names file, line, pointer and mend, and shows the line", async () => {
    write("bad.yaml", GOOD.replace("address:", "adress:").replace("upstream: api", "upstream: apy"));
    const { code, out, notes } = await penstock("apply -f bad.yaml");
    expect([code, out]).toEqual([1, ""]);
    expect(notes).toContain('bad.yaml:9:48 /plugins/0/file: "build/check.wasm" can\'t be read');
    expect(notes).toContain("/listeners/0/adress: unknown field");
    write("build/check.wasm", wasmModule(1));
    const again = await penstock("apply -f bad.yaml");
    expect(again.notes.split("\n").slice(0, 6)).toEqual([
      'bad.yaml:3:18 /listeners/0/adress: unknown field "adress"; did you mean "address"? (PENSTOCK_CONFIG_UNKNOWN_FIELD)',
      '     3 |   - { name: web, adress: "127.0.0.1:8080", protocol: http }',
      "       |                  ^",
      'bad.yaml:11:87 /routes/0/upstream: there is no upstream "apy"; did you mean "api"? (PENSTOCK_CONFIG_REFERENCE)',
      '    11 |   - { name: orders, tenant: acme, listeners: [web], filters: [{ plugin: "check@1" }], upstream: apy }',
      `       | ${" ".repeat(86)}^`,
    ]);
    expect(again.notes).toContain("penstock: the declaration was refused: 2 findings (PENSTOCK_CONFIG_INVALID)");
    const json = await penstock("apply -f bad.yaml --json");
    expect(JSON.parse(json.out)).toMatchObject({ error: { code: "PENSTOCK_CONFIG_INVALID", errors: [{}, {}] } });
  });

  it.each<[string, string, string]>([
    [
      "a tab",
      "listeners:\n\t- name: web\n",
      "bad.yaml:2:1: Tabs are not allowed as indentation; to mend it: indent with spaces",
    ],
    ["an open bracket", "listeners: [\n", "and close every bracket"],
    [
      "a key twice",
      "routes: []\nroutes: []\n",
      "bad.yaml:2:1: Map keys must be unique; to mend it: keep one of the two keys",
    ],
    ["two documents", "routes: []\n---\nroutes: []\n", "one document a file"],
    ["a list", "- routes\n", "expected a declaration with fields, not a list"],
  ])("names line and mend of YAML with %s", async (_what, text, expected) => {
    write("bad.yaml", text);
    const { code, notes } = await penstock("apply -f bad.yaml");
    expect(code).toBe(1);
    expect(notes).toContain(expected);
  });

  it("says which file is missing, and what a refused module has wrong", async () => {
    expect((await penstock("apply -f nowhere.yaml")).notes).toContain("there is no nowhere.yaml");
    write("wrong/penstock.yaml", GOOD);
    write("wrong/build/check.wasm", "text");
    const { code, notes } = await penstock("apply -f wrong/penstock.yaml");
    expect(code).toBe(1);
    expect(notes).toContain(
      "wrong/penstock.yaml:9:48 /plugins/0/file: build/check.wasm: no magic number (at byte 0) (PENSTOCK_WASM_INVALID)",
    );
  });
});

describe("verbs", () => {
  it("show resources as tables that fit, as YAML, and as JSON", async () => {
    expect((await penstock("get listeners")).out).toBe(
      "NAME  ADDRESS         PROTOCOL  TRANSPARENT\nweb   127.0.0.1:8080  http",
    );
    for (const line of (await penstock("get plugins", {}, 40)).out.split("\n"))
      expect(line.length).toBeLessThanOrEqual(40);
    expect((await penstock("get route acme/orders")).out).toContain("listeners:\n  - web");
    expect(JSON.parse((await penstock("get routes --json")).out)).toHaveLength(1);
    expect((await penstock("get steering")).out).toBe("no steering");
    const [head = "", acme = ""] = (await penstock("get tenants", {}, 200)).out.split("\n");
    const cells = new Map(head.split(/ {2,}/).map((name, i) => [name, acme.split(/ {2,}/)[i]]));
    expect([cells.get("NAME"), cells.get("ROUTES"), cells.get("PLUGINS"), cells.get("GUESTS")]).toEqual([
      "acme",
      "1/1000",
      "1/1000",
      "1/4096",
    ]);
    expect(await penstock("get listener nope")).toMatchObject({
      code: 1,
      notes: expect.stringContaining('there is no listener "nope"'),
    });
    await expect(penstock("get listner")).rejects.toThrow('did you mean "listeners"?');
    await expect(penstock("get route orders")).resolves.toMatchObject({ code: 1 });
  });

  it("export what apply takes back", async () => {
    const { out } = await penstock("export");
    const kinds = out.split("\n").filter((line) => /^\w/.test(line));
    expect(kinds).toEqual(["listeners:", "upstreams:", "tenants:", "plugins:", "routes:", "kernel:"]);
    expect(out).toContain("routes:\n  - name: orders\n    tenant: acme\n");
    write("exported.yaml", out);
    expect((await penstock("apply -f exported.yaml")).out).toBe("nothing to change; revision 1 is in force");
  });

  it("show what a new version asks for, and sign it", async () => {
    write("asking/1.wasm", wasmModule(3));
    write("asking/2.wasm", wasmModule(9));
    write("asking/2.wasm.map", JSON.stringify({ version: 3, sources: ["index.ts"], names: [], mappings: "AAAA" }));
    expect((await penstock("plugin push acme/asking@1 asking/1.wasm")).out).toMatch(/^asks for maps: /m);
    const { out: publicKey } = await penstock("plugin keygen asking/key.pem");
    expect(publicKey).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(await penstock("plugin keygen asking/key.pem")).toMatchObject({ code: 1 });
    const refused = await penstock("plugin push acme/asking@2 asking/2.wasm --key asking/key.pem");
    expect(refused).toMatchObject({ code: 1, notes: expect.stringContaining("PENSTOCK_CONFIG_SIGNATURE") });
    const exported = (await penstock("export")).out;
    write(
      "asking/all.yaml",
      exported.replace("tenants:\n", `tenants:\n  - { name: signed, hosts: [], publicKeys: ["${publicKey}"] }\n`),
    );
    await penstock("apply -f asking/all.yaml");
    await penstock("plugin push signed/asking@1 asking/1.wasm --key asking/key.pem");
    const { out } = await penstock("plugin push signed/asking@2 asking/2.wasm --key asking/key.pem");
    expect(out).toContain(`signed by ${publicKey}`);
    expect(out).toContain("+ upstreams, which version 1 did not ask for");
    const inspected = (await penstock("plugin inspect signed/asking@2")).out;
    expect(inspected).toMatch(/^since 1 +\+ upstreams$/m);
    expect(inspected).toContain(publicKey);
    for (const name of ["signed/asking@2", "signed/asking@1", "acme/asking@1"]) await penstock(`plugin rm ${name}`);
    write("asking/all.yaml", exported.replace(/ {2}- name: asking\n(?: {4}.*\n)+/, ""));
    await penstock("apply -f asking/all.yaml");
  });

  it("show what a plugin says, its faults in lines of its source, and follow it", async () => {
    write("saying/1.wasm", wasmModule(5));
    // Offset 8 is line 3 of index.ts.
    write("saying/1.wasm.map", JSON.stringify({ version: 3, sources: ["index.ts"], names: [], mappings: "QAEA" }));
    expect(await penstock("plugin push acme/saying@1 saying/1.wasm")).toMatchObject({ code: 0 });
    const line = (number: number, plugin: string, message: string, offset = -1) =>
      gateway.lines.push({ number, timeMs: 1000 * number, level: "warn", route: "orders", plugin, message, offset });
    line(1, "saying@1", "trap: unreachable at byte 9 of the module", 9);
    line(2, "check@1", "another plugin");
    line(3, "saying@1", "hello");
    expect((await penstock("plugin logs acme/saying")).out).toBe(
      "1970-01-01 00:00:01.000 warn  saying@1 orders: trap: unreachable at byte 9 of the module (index.ts:3:1)\n" +
        "1970-01-01 00:00:03.000 warn  saying@1 orders: hello",
    );
    expect((await penstock("plugin logs acme/saying@2")).out).toBe("");
    expect(await penstock("plugin logs acme/nothing")).toMatchObject({ code: 1 });
    const followed = new Client(gateway.socketPath, undefined);
    const seen: string[] = [];
    for await (const chunk of followed.download("/v1/tenants/acme/plugins/saying/logs?version=1")) {
      seen.push(Buffer.from(chunk).toString());
      if (seen.join("").includes("and more")) break;
      if (seen.join("").includes("hello")) line(4, "saying@1", "and more");
    }
    expect(seen.join("")).toMatch(/"message":"hello"[^]*"message":"and more"/);
    await penstock("plugin rm acme/saying@1");
  });

  it("tell a running plugin a word, from the line or a file, and show what each guest answers", async () => {
    expect(await penstock(["plugin", "message", "acme/check", "how many?"])).toEqual({
      code: 0,
      out: "worker 0 acme/orders check@1: how many?",
      notes: "",
    });
    write("word.txt", "one \u{1b}[2J\nand two ü\n");
    expect(await penstock("plugin message acme/check --file word.txt")).toMatchObject({
      out: "worker 0 acme/orders check@1: one \\u001b[2J\\nand two ü",
    });
    const { out } = await penstock("plugin message acme/check --file word.txt --json");
    expect(JSON.parse(out)).toEqual({
      answers: [{ worker: 0, route: "acme/orders", version: "1", answer: "one \u{1b}[2J\nand two ü" }],
    });
    gateway.listens = false;
    expect(await penstock("plugin message acme/check hello")).toMatchObject({
      code: 0,
      out: "",
      notes: expect.stringContaining("nobody answers"),
    });
    expect((await penstock("plugin message acme/check hello --json")).out).toBe('{"answers":[]}');
    gateway.listens = true;
  });

  it("refuse a message that can't be sent, and say why", async () => {
    write("long.txt", "x".repeat(65_537));
    expect(await penstock("plugin message acme/check --file long.txt")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("65536"),
    });
    write("bytes.bin", Uint8Array.of(0x61, 0xff));
    expect(await penstock("plugin message acme/check --file bytes.bin")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("bytes.bin is not UTF-8"),
    });
    expect(await penstock("plugin message acme/check --file none.txt")).toMatchObject({ code: 1 });
    expect(await penstock("plugin message acme/nothing hello")).toMatchObject({
      code: 1,
      notes: expect.stringContaining('there is no plugin "nothing"'),
    });
    await expect(penstock("plugin message acme/check@1 hello")).rejects.toThrow("all of its versions");
    await expect(penstock("plugin message check hello")).rejects.toThrow("TENANT/NAME");
    await expect(penstock("plugin message acme/check hello --file word.txt")).rejects.toThrow("not both");
    await expect(penstock("plugin message acme/check two words")).rejects.toThrow(UsageError);
  });

  it("push plugins, list, inspect and remove them", async () => {
    write("mine/build/mine.wasm", wasmModule(7));
    expect((await penstock("plugin push acme/mine@1 mine")).out).toMatch(/^acme\/mine@1 is uploaded: 13 bytes/);
    expect((await penstock("plugin push acme/mine@1 mine/build/mine.wasm")).out).toContain("was uploaded before");
    expect((await penstock("plugin ls acme")).out).toMatch(/acme\/check@1 .*\nacme\/mine@1 /);
    const named = (version: string): string =>
      GOOD.replace("routes:", `  - { name: mine, tenant: acme, version: "${version}" }\nroutes:`);
    write("good/named.yaml", named("1"));
    expect((await penstock("diff -f good/named.yaml")).out).toBe("nothing would change");
    write("good/named.yaml", named("2"));
    expect((await penstock("diff -f good/named.yaml")).notes).toMatch(
      /^good\/named\.yaml:10:5 \/plugins\/1: no version "2" of plugin "mine" was uploaded; .*`penstock plugin push`/,
    );
    write("good/named.yaml", GOOD.replace("check@1", "mine@1"));
    expect((await penstock("diff -f good/named.yaml")).notes).toContain(
      'there is no plugin "mine@1" of tenant "acme" in `plugins` (PENSTOCK_CONFIG_REFERENCE)',
    );
    expect((await penstock("plugin inspect acme/mine@1")).out).toMatch(/^abi +penstock$/m);
    expect((await penstock("plugin rm acme/mine@1")).out).toContain("- plugins acme/mine@1");
    expect(await penstock("plugin rm acme/check@1")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("PENSTOCK_CONTROL_IN_USE"),
    });
    expect(await penstock("plugin push acme/mine@3 nowhere")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("nowhere"),
    });
    await expect(penstock("plugin push mine mine")).rejects.toThrow("TENANT/NAME@VERSION");
  });

  it("take a plugin from an empty folder to the gateway", async () => {
    expect((await penstock("plugin new greeter")).out).toBe("greeter is made\nnext: penstock plugin test greeter");
    expect(await penstock("plugin new greeter")).toMatchObject({ code: 1, notes: expect.stringContaining("exists") });
    expect(await penstock("plugin new Greeter")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("is no name"),
    });
    const tested = await penstock("plugin test greeter");
    expect([tested.code, tested.notes]).toEqual([0, ""]);
    expect(tested.out).toMatch(/^ok {4}cases\.json 1: the upstream is greeted {2}\d+ fuel\n[^]*\n3 passed, 0 failed$/);
    expect(readFileSync(join(cwd, "greeter/README.md"), "utf8")).toContain("plugin push TENANT/greeter@1 greeter ");
    expect((await penstock("plugin build greeter")).out).toMatch(/^greeter\/build\/greeter\.wasm: \d+ bytes$/);
    expect((await penstock("plugin push acme/greeter@1 greeter")).code).toBe(0);
    await penstock("plugin rm acme/greeter@1");

    write("greeter/test/cases.json", '{"cases":[{"name":"wrong","expect":{"verdict":"continue"}}]}');
    const failing = await penstock("plugin test greeter");
    expect(failing.code).toBe(1);
    expect(failing.out).toMatch(/^FAIL {2}cases\.json 1: wrong {2}\d+ fuel\n {8}\S[^]*\n0 passed, 1 failed$/);
    write("greeter/assembly/index.ts", "export function onRequest(req: Nothing): void {}\n");
    const broken = await penstock("plugin build greeter");
    expect([broken.code, broken.out]).toEqual([1, ""]);
    expect(broken.notes).toMatch(/^assembly\/index\.ts:1:\d+: error: /m);
    expect(await penstock("plugin build nowhere")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("PENSTOCK_CLI_FILE"),
    });
  }, 60_000);

  it("delete, list revisions and roll back", async () => {
    expect(await penstock("delete upstream api")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("still refers to it"),
    });
    expect((await penstock("delete map blocklist")).out).toContain("- kernel/maps blocklist");
    expect((await penstock("rollback 1 --dry-run")).out).toContain("+ kernel/maps blocklist");
    expect((await penstock("rollback 1")).out).toMatch(/revision \d+ is in force$/);
    const { out } = await penstock("revisions", {}, 120);
    expect(out.split("\n")[1]).toMatch(/^\* \d+ +applied .* socket +roll back to 1$/);
    await expect(penstock("rollback x")).rejects.toBeInstanceOf(UsageError);
  });

  it("give a secret its value, and show its name", async () => {
    write("key.txt", "hunter2\n");
    for (const attempt of ["is made", "is given again"]) {
      const { code, out } = await penstock("secret set acme/api-key --file key.txt");
      expect([code, out], attempt).toEqual([
        0,
        "secret acme/api-key is set; filters of acme name it as ${secret:api-key}",
      ]);
    }
    const { out } = await penstock("get secrets acme");
    expect(out).toMatch(/^TENANT +NAME +FINGERPRINT\nacme +api-key +[0-9a-f]{12}$/);
    expect((await penstock("export")).out).not.toContain("hunter2");
    expect(await penstock("secret set acme/api-key --file none.txt")).toMatchObject({ code: 1 });
    await expect(penstock("secret set api-key")).rejects.toThrow(UsageError);
    expect((await penstock("delete secret acme/api-key")).out).toContain("- secrets acme/api-key");
  });

  it("make tokens that work over TCP, and revoke them", async () => {
    const { out, notes } = await penstock("token create --name ci --scope read --ttl 1h");
    expect(out).toMatch(/^pst_/);
    const id = /token (\w+);/.exec(notes)?.[1] ?? "";
    const remote = { PENSTOCK_SERVER: gateway.tcpServer, PENSTOCK_TOKEN: out };
    expect((await penstock("get listeners", remote)).code).toBe(0);
    expect(await penstock("delete listener web", remote)).toMatchObject({
      code: 1,
      notes: expect.stringContaining("PENSTOCK_CONTROL_FORBIDDEN"),
    });
    expect((await penstock("token ls")).out).toContain(id);
    expect((await penstock(`token revoke ${id}`)).code).toBe(0);
    expect(await penstock("get listeners", remote)).toMatchObject({
      code: 1,
      notes: expect.stringContaining("PENSTOCK_CONTROL_UNAUTHENTICATED"),
    });
    await expect(penstock("token create --name ci --scope read --ttl soon")).rejects.toBeInstanceOf(UsageError);
  });

  it("work on kernel maps", async () => {
    expect((await penstock("kernel status")).out).toContain("maps live in user space");
    expect((await penstock("kernel maps blocklist put 203.0.113.0/24 --ttl 60")).out).toMatch(
      /^203\.0\.113\.0\/24 {2}for \d+(\.\d+)? s$/,
    );
    expect((await penstock("kernel maps blocklist put 198.51.100.7")).out).toBe("198.51.100.7/32  for good");
    expect((await penstock("kernel maps blocklist")).out.split("\n")).toHaveLength(3);
    expect((await penstock("kernel maps blocklist rm 203.0.113.0/24")).code).toBe(0);
    expect((await penstock("kernel maps blocklist get 203.0.113.0/24")).code).toBe(1);
  });

  it("attach to the kernel, on trial and for good, and detach", async () => {
    const listener = { name: "steered", address: "127.0.0.1:18000", protocol: "http", transparent: true };
    await gateway.put("/v1/listeners/steered", listener);
    const steer = "kernel attach steering apps --cgroup /cg/apps --ports 80,8080 --listener steered --confirm 600";
    expect((await penstock(steer)).out).toBe(
      "steering apps is in force\nit is undone in 600 s, unless: penstock kernel confirm apps",
    );
    expect(gateway.applied.at(-1)?.kernel.steering).toMatchObject([{ ports: [80, 8080], confirmMs: 600_000 }]);
    expect((await penstock(steer)).code).toBe(1);
    expect((await penstock("kernel confirm apps")).out).toMatch(/confirmMs[^]*is in force$/);
    expect(gateway.applied.at(-1)?.kernel.steering).toEqual([
      { cgroup: "/cg/apps", ports: [80, 8080], listener: 1, leaseMs: 3000 },
    ]);
    expect((await penstock("kernel confirm nobody")).notes).toContain('there is no steering "nobody"');
    const bind = "kernel attach binding range --ports 80,8000-8999 --prefix 192.0.2.0/24 --listener web";
    expect((await penstock(bind)).out).toBe("binding range is in force");
    expect((await penstock("kernel attach interface eth9 --programs packet-counter")).code).toBe(0);
    for (const what of ["steering apps", "binding range", "interface eth9"]) {
      expect((await penstock(`kernel detach ${what}`)).out).toMatch(/^- kernel\/\w+ \w+\nrevision \d+ is in force$/);
    }
    expect((await penstock("delete listener steered")).code).toBe(0);
    await expect(penstock("kernel attach map x")).rejects.toThrow(/no "map" to attach: steering, interface/);
    await expect(penstock("kernel attach binding x")).rejects.toThrow(/--listener is missing/);
  });

  it("follow traced connections", async () => {
    const { out } = await penstock("kernel trace --listener web --count 2");
    expect(out).toBe(
      [
        "00:00:00.000  web  10.0.0.2:5000 -> 10.0.0.1:80  syn-received -> established  round trip 250 µs",
        "00:00:01.500  web  10.0.0.2:5000 -> 10.0.0.1:80  slow-response  took 1.20 s",
      ].join("\n"),
    );
    const json = await penstock("kernel trace --kind retransmit --count 1 --json");
    expect(JSON.parse(json.out)).toMatchObject({ seq: 3, listener: "other" });
  });

  it.each([
    "get listeners",
    "get tenant acme",
    "export",
    "diff -f exported.yaml",
    "apply -f exported.yaml",
    "revisions",
    "explain GET http://shop.acme.example/",
    "plugin ls acme",
    "plugin inspect acme/check@1",
    "plugin message acme/check hello",
    "get secrets acme",
    "audit",
    "token ls",
    "audit verify",
    "kernel status",
    "kernel maps blocklist",
    "top --interval 0.01",
    "completion fish",
  ])("%s --json prints JSON, and nothing else", async (line) => {
    const { code, out, notes } = await penstock(`${line} --json`);
    expect([code, notes]).toEqual([0, ""]);
    expect(JSON.parse(out)).toBeTypeOf("object");
  });

  it("explain a request", async () => {
    const { out } = await penstock(["explain", "GET", "http://shop.acme.example/", "-H", "x-beta: 1"]);
    expect(out).toContain("route     acme/orders");
    expect(out).toContain("because   x-beta=1");
    await expect(penstock("explain GET nowhere")).rejects.toBeInstanceOf(UsageError);
  });

  it("say where no gateway is", async () => {
    expect(await penstock("get listeners --server /nowhere.sock")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("PENSTOCK_CLI_UNREACHABLE"),
    });
    expect(await penstock("get listeners --server http://127.0.0.1:1")).toMatchObject({
      code: 1,
      notes: expect.stringContaining("nothing listens there"),
    });
  });
});
