import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { made, requestOf, targetOf, through } from "./exchange.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const user = (name: string, salt: string, password: string) => ({ name, salt, sha256: sha256(salt + password) });
const basic = (text: string): string => Buffer.from(text).toString("base64");

describe("basic-auth", () => {
  const filter = made("basic-auth", {
    realm: "orders",
    users: [user("kim", "salt-of-kim", "pässword:1"), user("lee", "salt-of-lee", "")],
    userHeader: "x-user",
  });

  it.each<[string, string[], string | null]>([
    ["the password", [`authorization: Basic ${basic("kim:pässword:1")}`], "kim"],
    ["the scheme in any case", [`authorization: bASIC  ${basic("kim:pässword:1")}`], "kim"],
    ["an empty password", [`authorization: Basic ${basic("lee:")}`], "lee"],
    ["what the client says it is", [`authorization: Basic ${basic("lee:")}`, "x-user: kim", "x-user: root"], "lee"],
    ["nothing", [], null],
    ["another password", [`authorization: Basic ${basic("kim:password")}`], null],
    ["another's password", [`authorization: Basic ${basic("lee:pässword:1")}`], null],
    ["nobody", [`authorization: Basic ${basic("eve:pässword:1")}`], null],
    ["nobody without a password", [`authorization: Basic ${basic("eve:")}`], null],
    ["no colon", [`authorization: Basic ${basic("kim")}`], null],
    ["no credential", ["authorization: Basic"], null],
    ["no Base64", ["authorization: Basic \u00ff\u00ff"], null],
    ["another scheme", [`authorization: Bearer ${basic("lee:")}`], null],
    ["two credentials", [`authorization: Basic ${basic("lee:")}`, `authorization: Basic ${basic("lee:")}`], null],
    ["a long credential", [`authorization: Basic ${basic(`lee:${"x".repeat(2000)}`)}`], null],
    ["a property of objects", [`authorization: Basic ${basic("constructor:")}`], null],
  ])("%s", (_what, fields, name) => {
    const exchange = requestOf("GET /", ...fields);
    expect(through(filter, exchange)).toBe(name === null ? REPLY : CONTINUE);
    if (name === null) {
      expect(exchange.reply).toMatchObject({
        status: 401,
        headers: [["www-authenticate", 'Basic realm="orders", charset="UTF-8"']],
      });
    } else {
      expect(exchange.request.get("x-user")).toBe(name);
      expect(exchange.request.get("authorization")).toBeUndefined();
    }
  });
});

describe("a CONNECT", () => {
  const filter = made("basic-auth", { realm: "out", users: [user("lee", "salt-of-lee", "x")] });

  it("is asked for a proxy's credential, and not for an origin's", () => {
    const exchange = requestOf("CONNECT db.example:1", `authorization: Basic ${basic("lee:x")}`);
    expect(through(filter, exchange)).toBe(REPLY);
    const challenge = [["proxy-authenticate", 'Basic realm="out", charset="UTF-8"']];
    expect(exchange.reply).toMatchObject({ status: 407, headers: challenge });
  });

  it("passes with one, which does not travel on", () => {
    const origins = `Basic ${basic("at:origin")}`;
    const fields = [`proxy-authorization: Basic ${basic("lee:x")}`, `authorization: ${origins}`];
    const exchange = requestOf("CONNECT db.example:1", ...fields);
    expect(through(filter, exchange)).toBe(CONTINUE);
    expect(exchange.request.get("proxy-authorization")).toBeUndefined();
    expect(exchange.request.get("authorization")).toBe(origins);
  });
});

describe("key-auth", () => {
  const keys = [
    { name: "shop", sha256: sha256("k-shop") },
    { name: "bank", sha256: sha256("k-bank") },
  ];
  const byHeader = made("key-auth", { header: "x-api-key", keys, userHeader: "x-consumer" });
  const byQuery = made("key-auth", { query: "key", keys, userHeader: "x-consumer" });

  it.each<[string, string[], string | null]>([
    ["a key", ["x-api-key: k-bank"], "bank"],
    ["no key", [], null],
    ["an empty key", ["x-api-key:"], null],
    ["a wrong key", ["x-api-key: k-ban"], null],
    ["two keys", ["x-api-key: k-bank", "x-api-key: k-bank"], null],
    ["a long key", [`x-api-key: ${"k".repeat(2000)}`], null],
  ])("in a header: %s", (_what, fields, name) => {
    const exchange = requestOf("GET /", ...fields);
    expect(through(byHeader, exchange)).toBe(name === null ? REPLY : CONTINUE);
    expect(exchange.reply?.status).toBe(name === null ? 401 : undefined);
    if (name !== null) expect(exchange.request.get("x-consumer")).toBe(name);
    if (name !== null) expect(exchange.request.get("x-api-key")).toBeUndefined();
  });

  it.each<[string, string, string | null, string]>([
    ["alone", "/a?key=k-shop", "shop", "/a?key=******"],
    ["among others", "/a?b=1&key=k-shop&c", "shop", "/a?b=1&key=******&c"],
    ["at the end", "/a?mykey=1&&key=k-bank", "bank", "/a?mykey=1&&key=******"],
    ["twice: the first counts", "/a?key=k-shop&key=zz", "shop", "/a?key=******&key=**"],
    ["wrong", "/a?key=k-sho", null, "/a?key=*****"],
    ["wrong first", "/a?key=zz&key=k-shop", null, "/a?key=**&key=******"],
    ["empty", "/a?key=", null, "/a?key="],
    ["without a value", "/a?key", null, "/a?key"],
    ["in the path only", "/key=k-shop", null, "/key=k-shop"],
    ["a longer name", "/a?keys=k-shop", null, "/a?keys=k-shop"],
  ])("in the query, %s", (_what, target, name, masked) => {
    const exchange = requestOf(`GET ${target}`, "x-next: k-shop?key=k-shop");
    expect(through(byQuery, exchange)).toBe(name === null ? REPLY : CONTINUE);
    expect([targetOf(exchange), exchange.request.targetText()]).toEqual([masked, masked]);
    expect(exchange.request.get("x-next")).toBe("k-shop?key=k-shop");
    if (name !== null) expect(exchange.request.get("x-consumer")).toBe(name);
  });

  it("does not reach the log where the target was rewritten before", () => {
    const exchange = requestOf("GET /a?key=k-shop");
    expect(through(made("rewrite", { prefix: { from: "/a", to: "/b" } }), exchange)).toBe(CONTINUE);
    expect(through(byQuery, exchange)).toBe(CONTINUE);
    expect([targetOf(exchange), exchange.request.targetText()]).toEqual(["/b?key=******", "/a?key=******"]);
  });
});
