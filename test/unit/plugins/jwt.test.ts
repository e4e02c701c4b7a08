/** Tokens of every algorithm, and those that must not pass. */
import { createHmac, generateKeyPairSync, sign, constants, type KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import { CONTINUE, REPLY, SUSPEND, type Filter } from "#pipeline/filter.ts";
import type { JwtAlgorithm, JwtConfig } from "#snapshot/builtin-filters.ts";
import type { TestExchange } from "#test/support/wasm.ts";
import { Clock, made, requestOf, targetOf, through } from "./exchange.ts";

const SECRET = Buffer.from("0123456789abcdef0123456789abcdef");
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const otherRsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const weakRsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" });
const p521 = generateKeyPairSync("ec", { namedCurve: "P-521" });
const ed = generateKeyPairSync("ed25519");

const jwk = (key: KeyObject, more: object = {}): Record<string, unknown> => ({
  ...key.export({ format: "jwk" }),
  ...more,
});
const KEYS = [
  { kty: "oct", k: SECRET.toString("base64url") },
  jwk(rsa.publicKey),
  jwk(p256.publicKey),
  jwk(p384.publicKey),
  jwk(p521.publicKey),
  jwk(ed.publicKey),
];
const PRIVATE: Readonly<Record<string, KeyObject>> = {
  R: rsa.privateKey,
  P: rsa.privateKey,
  ES256: p256.privateKey,
  ES384: p384.privateKey,
  ES512: p521.privateKey,
  Ed: ed.privateKey,
};
const ALL: JwtAlgorithm[] = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
];

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function signature(alg: string, data: Buffer, key?: KeyObject | Buffer): Buffer {
  const hash = `sha${alg.slice(2)}`;
  if (alg.startsWith("HS"))
    return createHmac(hash, (key as Buffer | undefined) ?? SECRET)
      .update(data)
      .digest();
  const own = (key as KeyObject | undefined) ?? PRIVATE[alg] ?? PRIVATE[alg.slice(0, 1)] ?? PRIVATE["Ed"];
  if (own === undefined) throw new Error(alg);
  if (alg === "EdDSA") return sign(null, data, own);
  if (alg.startsWith("ES")) return sign(hash, data, { key: own, dsaEncoding: "ieee-p1363" });
  if (!alg.startsWith("PS")) return sign(hash, data, own);
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return sign(hash, data, { key: own, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
}

function token(alg: string, claims: object = {}, header: object = {}, key?: KeyObject | Buffer): string {
  const signed = `${part({ alg, typ: "JWT", ...header })}.${part({ exp: 100, sub: "kim", ...claims })}`;
  return `${signed}.${signature(alg, Buffer.from(signed), key).toString("base64url")}`;
}

const CONFIG: JwtConfig = {
  algorithms: ALL,
  keys: KEYS,
  from: { scheme: "Bearer" },
  issuers: [],
  audiences: [],
  required: ["exp"],
  leewaySeconds: 0,
  claimHeaders: { "x-user": "sub" },
  forward: false,
  optional: false,
  realm: "restricted",
};

const jwt = (over: Partial<JwtConfig> = {}, clock = new Clock()): Filter => made("jwt", { ...CONFIG, ...over }, clock);
const bearing = (text: string, ...fields: string[]): TestExchange =>
  requestOf("GET /", `authorization: Bearer ${text}`, ...fields);

/** What is wrong, as the client is told; empty when it passes. */
function refusal(filter: Filter, text: string): string {
  const exchange = bearing(text);
  if (through(filter, exchange) === CONTINUE) return "";
  const challenge = exchange.reply?.headers.find(([name]) => name === "www-authenticate")?.[1] ?? "";
  return `${exchange.reply?.status} ${/error_description="(.*)"/.exec(challenge)?.[1] ?? challenge}`;
}

describe("jwt: signatures", () => {
  it.each(ALL)("%s passes, once and again, and with one bit changed it does not", (alg) => {
    const filter = jwt();
    const text = token(alg);
    for (let i = 0; i < 2; i++) {
      const exchange = bearing(text, "x-user: mallory");
      expect(through(filter, exchange)).toBe(CONTINUE);
      expect([exchange.request.get("x-user"), exchange.request.get("authorization")]).toEqual(["kim", undefined]);
    }
    const [head = "", claims = "", mac = ""] = text.split(".");
    const bytes = Buffer.from(mac, "base64url");
    bytes[5] = (bytes[5] ?? 0) ^ 1;
    expect(refusal(filter, `${head}.${claims}.${bytes.toString("base64url")}`)).toBe(
      "401 the token's signature is wrong",
    );
    expect(refusal(filter, `${head}.${part({ exp: 100, sub: "root" })}.${mac}`)).toBe(
      "401 the token's signature is wrong",
    );
  });

  const publicPem = Buffer.from(String(rsa.publicKey.export({ format: "pem", type: "spki" })));
  it.each<[string, string, Partial<JwtConfig>, string]>([
    ["none", `${part({ alg: "none" })}.${part({ exp: 100 })}.AA`, {}, "the token's algorithm is not taken"],
    ["none without a signature", `${part({ alg: "none" })}.${part({ exp: 100 })}.`, {}, "the token is malformed"],
    [
      "a public key as the secret",
      token("HS256", {}, {}, publicPem),
      { keys: [jwk(rsa.publicKey)] },
      "the token was signed with a key that is not known",
    ],
    ["an algorithm that is not named", token("HS256"), { algorithms: ["RS256"] }, "the token's algorithm is not taken"],
    [
      "a key for another algorithm",
      token("RS512"),
      { keys: [jwk(rsa.publicKey, { alg: "RS256" })] },
      "the token was signed with a key that is not known",
    ],
    [
      "a key for encryption",
      token("RS256"),
      { keys: [jwk(rsa.publicKey, { use: "enc" })] },
      "the token was signed with a key that is not known",
    ],
    [
      "a weak key",
      token("RS256", {}, {}, weakRsa.privateKey),
      { keys: [jwk(weakRsa.publicKey)] },
      "the token was signed with a key that is not known",
    ],
    ["somebody else's key", token("RS256", {}, {}, otherRsa.privateKey), {}, "the token's signature is wrong"],
    [
      "a signature of another form",
      token("ES256").replace(/[^.]+$/, sign("sha256", Buffer.from("x"), p256.privateKey).toString("base64url")),
      {},
      "the token's signature is wrong",
    ],
    [
      "an unknown extension",
      token("HS256", {}, { crit: ["b64"], b64: false }),
      {},
      "the token asks for an extension that is not known",
    ],
    ["padding", `${token("HS256")}=`, {}, "the token is malformed"],
    ["five parts", `${token("HS256")}.a.b`, {}, "the token is malformed"],
    ["claims that are no object", `${part({ alg: "HS256" })}.${part([])}.AA`, {}, "the token is malformed"],
    ["too long", token("HS256", { x: "y".repeat(8192) }), {}, "the token is malformed"],
  ])("%s is refused", (_, text, over, why) => {
    expect(refusal(jwt(over), text)).toBe(`401 ${why}`);
  });

  it("a key is chosen by its id, and without one all that fit are tried", () => {
    const keys = [jwk(otherRsa.publicKey, { kid: "old" }), jwk(rsa.publicKey, { kid: "new" })];
    expect(refusal(jwt({ keys }), token("RS256", {}, { kid: "new" }))).toBe("");
    expect(refusal(jwt({ keys }), token("RS256", {}, { kid: "old" }))).toBe("401 the token's signature is wrong");
    expect(refusal(jwt({ keys }), token("RS256", {}, { kid: "gone" }))).toBe(
      "401 the token was signed with a key that is not known",
    );
    expect(refusal(jwt({ keys }), token("RS256"))).toBe("");
  });
});

describe("jwt: claims", () => {
  it.each<[object, Partial<JwtConfig>, number, string]>([
    [{}, {}, 99_999, ""],
    [{}, {}, 100_000, "401 the token has expired"],
    [{}, { leewaySeconds: 5 }, 104_999, ""],
    [{}, { leewaySeconds: 5 }, 105_000, "401 the token has expired"],
    [{ nbf: 50 }, {}, 49_999, "401 the token does not hold yet"],
    [{ nbf: 50 }, {}, 50_000, ""],
    [{ iat: 50 }, { leewaySeconds: 2 }, 47_999, "401 the token does not hold yet"],
    [{ iat: 20 }, { ageMaxSeconds: 10 }, 29_999, ""],
    [{ iat: 20 }, { ageMaxSeconds: 10 }, 30_000, "401 the token has expired"],
    [{ exp: "100" }, {}, 1000, "401 the token's exp is no time"],
    [{ exp: undefined }, {}, 1000, "401 the token lacks exp"],
    [{ exp: undefined }, { required: [] }, 1e15, ""],
    [{ iss: "a" }, { issuers: ["a", "b"] }, 1000, ""],
    [{ iss: "c" }, { issuers: ["a", "b"] }, 1000, "401 the token's issuer is another"],
    [{}, { issuers: ["a"] }, 1000, "401 the token's issuer is another"],
    [{ aud: "a" }, { audiences: ["a"] }, 1000, ""],
    [{ aud: ["x", "a"] }, { audiences: ["a"] }, 1000, ""],
    [{ aud: ["x"] }, { audiences: ["a"] }, 1000, "401 the token is for another audience"],
    [{}, { audiences: ["a"] }, 1000, "401 the token is for another audience"],
    [{}, { required: ["email"] }, 1000, "401 the token lacks email"],
  ])("%j with %j at %i ms: %s", (claims, over, ms, expected) => {
    const clock = new Clock();
    clock.ms = ms;
    expect(refusal(jwt(over, clock), token("HS256", claims))).toBe(expected);
  });

  it("a token that is remembered expires all the same", () => {
    const clock = new Clock();
    const filter = jwt({}, clock);
    expect(refusal(filter, token("HS256"))).toBe("");
    clock.ms = 100_000;
    expect(refusal(filter, token("HS256"))).toBe("401 the token has expired");
  });

  it("claims become fields, whatever the client says there", () => {
    const filter = jwt({
      claimHeaders: { "x-a": "realm.role", "x-b": "groups", "x-c": "name", "x-d": "none", "x-e": "a.b" },
    });
    const claims = { realm: { role: "admin" }, groups: ["a", "b", {}], name: "Jö\r\nx: y", "a.b": 1 };
    const exchange = bearing(token("HS256", claims), "x-d: mallory");
    expect(through(filter, exchange)).toBe(CONTINUE);
    const { request } = exchange;
    expect(["x-a", "x-b", "x-c", "x-d", "x-e"].map((name) => request.get(name))).toEqual([
      "admin",
      "a,b",
      "J%C3%B6%0D%0Ax: y",
      undefined,
      "1",
    ]);
  });
});

describe("jwt: where the token is", () => {
  const text = token("HS256");
  it.each<[string, JwtConfig["from"], string, string[], string]>([
    ["a header of its own", { header: "x-token", scheme: "" }, "/", [`x-token: ${text}`], "/"],
    ["the scheme in any case", { scheme: "Bearer" }, "/", [`authorization: bEARER  ${text}`], "/"],
    ["a cookie among others", { cookie: "session", scheme: "" }, "/", [`cookie: a=1; session=${text}; b=2`], "/"],
    [
      "the query, masked",
      { query: "token", scheme: "" },
      `/a?token=${text}&b=1`,
      [],
      `/a?token=${"*".repeat(text.length)}&b=1`,
    ],
  ])("%s", (_, from, target, fields, after) => {
    const exchange = requestOf(`GET ${target}`, ...fields);
    expect(through(jwt({ from }), exchange)).toBe(CONTINUE);
    expect(targetOf(exchange)).toBe(after);
    expect(exchange.request.get("cookie") ?? "a=1; b=2").toBe("a=1; b=2");
  });

  it("two tokens are none; another scheme is no token", () => {
    const twice = requestOf("GET /", `authorization: Bearer ${text}`, `authorization: Bearer ${text}`);
    expect([through(jwt(), twice), twice.reply?.status]).toEqual([REPLY, 401]);
    const basic = requestOf("GET /", "authorization: Basic a2lt");
    expect([through(jwt({ optional: true }), basic), basic.request.get("authorization")]).toEqual([
      CONTINUE,
      "Basic a2lt",
    ]);
  });

  it("without a token: refused without an error code, or let through without claims", () => {
    const exchange = requestOf("GET /");
    expect(through(jwt(), exchange)).toBe(REPLY);
    expect(exchange.reply?.headers).toEqual([["www-authenticate", 'Bearer realm="restricted"']]);
    const forged = requestOf("GET /", "x-user: root");
    expect([through(jwt({ optional: true }), forged), forged.request.get("x-user")]).toEqual([CONTINUE, undefined]);
  });

  it("it travels on where the route says so", () => {
    const exchange = bearing(text);
    through(jwt({ forward: true }), exchange);
    expect(exchange.request.get("authorization")).toBe(`Bearer ${text}`);
  });
});

describe("jwt: keys from an upstream", () => {
  const jwksUpstream = { upstream: "idp", path: "/keys", ttlSeconds: 60, staleSeconds: 120, timeoutMs: 100 };
  const answer = (...keys: object[]) => ({
    status: 200,
    headers: [],
    body: Buffer.from(JSON.stringify({ keys })),
    error: "",
  });
  const late = { required: [] };
  const text = token("RS256", { exp: undefined }, { kid: "1" });
  const second = token("RS256", { exp: undefined }, { kid: "2" }, otherRsa.privateKey);
  const one = jwk(rsa.publicKey, { kid: "1" });
  const two = jwk(otherRsa.publicKey, { kid: "2" });

  async function pass(filter: Filter, of: string): Promise<number> {
    const exchange = bearing(of);
    const verdict = through(filter, exchange);
    const decided = verdict === SUSPEND ? await exchange.nextResume() : verdict;
    return decided === CONTINUE ? 200 : (exchange.reply?.status ?? 0);
  }

  it("are fetched at the first token, used while fresh, and renewed behind the requests", async () => {
    const clock = new Clock();
    clock.answers.push(answer(one), answer(one));
    const filter = jwt({ keys: [], jwksUpstream, ...late }, clock);
    expect(await pass(filter, text)).toBe(200);
    clock.ms += 59_000;
    expect(await pass(filter, text)).toBe(200);
    expect(clock.asked.length).toBe(1);
    clock.ms += 2000;
    expect(through(filter, bearing(text))).toBe(CONTINUE);
    expect(clock.asked.map(({ upstream, request }) => `${upstream} ${request.path}`)).toEqual([
      "idp /keys",
      "idp /keys",
    ]);
  });

  it("a new key id is asked for once, and a key that is gone no longer counts", async () => {
    const clock = new Clock();
    clock.answers.push(answer(one), answer(two));
    const filter = jwt({ keys: [], jwksUpstream, ...late }, clock);
    expect(await pass(filter, text)).toBe(200);
    expect(await pass(filter, second)).toBe(401);
    clock.ms += 6000;
    expect(await pass(filter, second)).toBe(200);
    expect(await pass(filter, text)).toBe(401);
    expect(clock.asked.length).toBe(2);
  });

  it("old keys are used while the upstream fails, and not for ever", async () => {
    const clock = new Clock();
    clock.answers.push(answer(one));
    const filter = jwt({ keys: [], jwksUpstream, ...late }, clock);
    expect(await pass(filter, text)).toBe(200);
    clock.ms += 179_000;
    expect(await pass(filter, text)).toBe(200);
    clock.ms += 7000;
    expect(await pass(filter, text)).toBe(503);
    expect(clock.logs.some((line) => line === "warn jwt: no keys from idp: nobody there")).toBe(true);
  });

  it.each([
    ["another status", { ...answer(one), status: 404 }],
    ["no JSON", { ...answer(), body: Buffer.from("<html>") }],
    ["no set", { ...answer(), body: Buffer.from("{}") }],
  ])("%s is no set of keys", async (_, bad) => {
    const clock = new Clock();
    clock.answers.push(bad);
    expect(await pass(jwt({ keys: [], jwksUpstream, ...late }, clock), text)).toBe(503);
  });
});
