/** Versions of plugins: who has signed them, what they ask for, and where in their source an offset is. */
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { checkDeclaration } from "#control/config/check.ts";
import { capabilityDiff } from "#control/plugins/capabilities.ts";
import { isPublicKey, publicKeyText, signerOf, signVersion } from "#control/plugins/signature.ts";
import { SourceMap } from "#control/plugins/source-map.ts";
import { capabilitiesOf } from "#wasm/validate/capabilities.ts";
import { DIGEST, exampleDeclaration } from "./example.ts";

describe("signatures", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const other = generateKeyPairSync("ed25519").privateKey;
  const version = { tenant: "acme", name: "checker", version: "1", digest: DIGEST };
  const signature = signVersion(version, privateKey);
  const keys = [publicKeyText(other), publicKeyText(privateKey)];

  it("hold for one module under one name, by one of the tenant's keys", () => {
    expect(signerOf(version, signature, keys)).toBe(publicKeyText(privateKey));
    expect(signerOf(version, signature, [publicKeyText(other)])).toBeUndefined();
    for (const change of [{ tenant: "b" }, { name: "c" }, { version: "2" }, { digest: DIGEST.replace(/./, "f") }]) {
      expect(signerOf({ ...version, ...change }, signature, keys)).toBeUndefined();
    }
    expect(signerOf(version, "A".repeat(86).concat("=="), keys)).toBeUndefined();
  });

  /** RFC 8032, section 7.1, test 1. */
  it("are Ed25519's, with keys as RFC 8410 has them", () => {
    const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const der = Buffer.from(`302e020100300506032b657004220420${seed}`, "hex");
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    const text = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    expect(Buffer.from(publicKeyText(key), "base64").toString("hex")).toBe(text);
    expect([isPublicKey(publicKeyText(key)), isPublicKey("AAAA"), isPublicKey("?")]).toEqual([true, false, false]);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    expect(() => signVersion(version, rsa)).toThrow("no Ed25519 key");
  });

  const findings = (tenant: object, plugin: object): string[] => {
    const declaration = exampleDeclaration();
    const [first] = declaration.plugins ?? [];
    Object.assign(declaration.tenants?.[0] ?? {}, tenant);
    Object.assign(first ?? {}, plugin);
    const checked = checkDeclaration(declaration, { moduleBytes: () => 1, modulesRequired: true, actor: undefined });
    return checked.ok ? [] : checked.findings.map(({ pointer, code }) => `${pointer} ${code}`);
  };
  const [declared] = exampleDeclaration().plugins ?? [];
  const good = signVersion({ ...version, name: declared?.name ?? "", version: declared?.version ?? "" }, privateKey);

  it("are asked for where a tenant requires them, and must be good wherever they are", () => {
    expect(findings({ publicKeys: keys }, {})).toEqual([]);
    expect(findings({ publicKeys: keys, requireSignature: true }, {})).toEqual([
      "/plugins/0 PENSTOCK_CONFIG_SIGNATURE",
    ]);
    expect(findings({ publicKeys: keys, requireSignature: true }, { signature: good })).toEqual([]);
    const bad = ["/plugins/0/signature PENSTOCK_CONFIG_SIGNATURE"];
    expect(findings({ publicKeys: [publicKeyText(other)] }, { signature: good })).toEqual(bad);
    expect(findings({}, { signature: good })).toEqual(bad);
    expect(findings({ publicKeys: keys }, { signature })).toEqual(bad);
    expect(findings({ publicKeys: ["no key"] }, {})).toEqual(["/tenants/0/publicKeys/0 PENSTOCK_CONFIG_VALUE"]);
    expect(findings({}, { signature: "short" })).toEqual(["/plugins/0/signature PENSTOCK_CONFIG_VALUE"]);
  });
});

describe("capabilities", () => {
  it("are told by the host calls that are imported", () => {
    expect(capabilitiesOf(["header_get", "log", "now_ms"])).toEqual([]);
    expect(capabilitiesOf(["upstream_open", "penstock.map_open", "env.proxy_http_call"])).toEqual([
      "maps",
      "upstreams",
    ]);
    expect(capabilitiesOf(["toString", "constructor"])).toEqual([]);
  });

  it("are compared with the version before", () => {
    const facts = (...capabilities: string[]) => ({
      abi: "",
      hooks: [],
      imports: [],
      capabilities,
      memoryBytesMin: 0,
      builder: "",
    });
    const before = { version: "1", facts: facts("maps") };
    expect(capabilityDiff(facts("maps"), before)).toBeUndefined();
    expect(capabilityDiff(facts("upstreams"), before)).toEqual({ than: "1", more: ["upstreams"], less: ["maps"] });
    const { capabilities: _, ...unknown } = facts();
    expect(capabilityDiff(facts("maps"), { version: "0", facts: unknown })).toBeUndefined();
  });
});

describe("a source map", () => {
  const map = (mappings: string, sources = ["a.ts", "b.ts"]) =>
    new SourceMap(JSON.stringify({ version: 3, sources, names: [], mappings }));

  it("finds the place that an offset belongs to", () => {
    // Offsets 10, 16, 16+1000: a.ts 1:1, a.ts 3:5, b.ts 2:3; deltas in VLQ.
    const found = map("UAAA,MAEI,w+BCDF");
    expect(found.placeOf(9)).toBeUndefined();
    expect([10, 15].map((offset) => found.placeOf(offset))).toEqual(
      Array(2).fill({ file: "a.ts", line: 1, column: 1 }),
    );
    expect(found.placeOf(16)).toEqual({ file: "a.ts", line: 3, column: 5 });
    expect(found.placeOf(1015)).toEqual({ file: "a.ts", line: 3, column: 5 });
    expect(found.placeOf(1016)).toEqual({ file: "b.ts", line: 2, column: 3 });
    expect(map("").placeOf(1)).toBeUndefined();
    expect(map("UAAA", []).placeOf(10)).toBeUndefined();
  });

  it("is refused when it is none", () => {
    for (const text of [
      "",
      "{}",
      "[]",
      '{"version":3,"sources":[1],"mappings":""}',
      '{"version":2,"sources":[],"mappings":""}',
    ]) {
      expect(() => new SourceMap(text)).toThrow();
    }
    for (const mappings of ["!", "U", "gggggggggA", "é"]) {
      if (mappings === "U") expect(map(mappings).placeOf(20)).toBeUndefined();
      else expect(() => map(mappings)).toThrow("broken");
    }
  });
});
