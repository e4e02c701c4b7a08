/** DNS messages and the system's files: what is read, what is refused, and nothing that breaks the reader. */
import { describe, expect, it } from "vitest";
import { decodeAnswer, encodeQuery, TYPE_A } from "#upstream/dns/message.ts";
import { readHosts, readNameservers } from "#upstream/dns/system-files.ts";
import { answerTo, record } from "#test/support/dns-server.ts";

const query = (name = "api.example", type = TYPE_A): Uint8Array => encodeQuery(7, name, type) ?? new Uint8Array(0);

describe("a query", () => {
  it("is what RFC 1035 draws", () => {
    expect(Buffer.from(query("a.bc")).toString("hex")).toBe("0007010000010000000000000161026263000001" + "0001");
  });

  it.each(["", "a..b", "x".repeat(64), `${"a.".repeat(127)}ab`, "a b", "-a", "a-", "käse"])(
    "can't be made of %j",
    (name) => {
      expect(encodeQuery(1, name, TYPE_A)).toBeNull();
    },
  );
});

describe("an answer", () => {
  it("has its addresses, and the shortest time to live of all that led to them", () => {
    const message = answerTo(query(), [
      record("api.example", "CNAME", 300, "pool.example"),
      record("pool.example", "A", 60, "10.0.0.7"),
      record("pool.example", "A", 90, "10.0.0.8"),
      record("other.example", "A", 1, "6.6.6.6"),
    ]);
    const answer = decodeAnswer(message, 7, "API.example.", TYPE_A);
    expect(answer).toMatchObject({ rcode: 0, ttlSeconds: 60 });
    expect(typeof answer === "string" ? [] : answer.addresses.map((one) => one.join("."))).toEqual([
      "10.0.0.7",
      "10.0.0.8",
    ]);
  });

  it("of a loop of aliases has none", () => {
    const message = answerTo(query(), [
      record("api.example", "CNAME", 300, "b.example"),
      record("b.example", "CNAME", 300, "api.example"),
    ]);
    expect(decodeAnswer(message, 7, "api.example", TYPE_A)).toMatchObject({ addresses: [] });
  });

  it.each([
    ["another number", (message: Uint8Array): void => void (message[1] = 8), "no answer to this query"],
    ["no answer at all", (message: Uint8Array): void => void (message[2] = 1), "no answer to this query"],
    ["truncated", (message: Uint8Array): void => void (message[2] = 0x82), "truncated"],
    ["another question", (message: Uint8Array): void => void (message[13] = 0x62), "the answer to another question"],
    ["two questions", (message: Uint8Array): void => void (message[5] = 2), "not one question"],
  ] as const)("with %s is refused", (_, spoil, words) => {
    const message = answerTo(query(), [record("api.example", "A", 60, "10.0.0.7")]);
    spoil(message);
    expect(decodeAnswer(message, 7, "api.example", TYPE_A)).toBe(words);
  });

  it("says that there is no such name", () => {
    expect(decodeAnswer(answerTo(query(), [], 3), 7, "api.example", TYPE_A)).toMatchObject({ rcode: 3, addresses: [] });
  });

  it("is refused wherever it is cut, and never read beyond its end", () => {
    const whole = answerTo(query(), [record("api.example", "A", 60, "10.0.0.7")]);
    for (let end = 0; end < whole.length; end++) {
      expect(typeof decodeAnswer(whole.slice(0, end), 7, "api.example", TYPE_A)).toBe("string");
    }
  });
});

it("resolv.conf: three servers at most, odd lines left aside, this machine without any", () => {
  const text =
    "# x\nsearch a b\nnameserver 10.0.0.2\nnameserver fd00::2\nnameserver fe80::1%eth0\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n";
  expect(readNameservers(text)).toEqual(["10.0.0.2:53", "[fd00::2]:53", "10.0.0.3:53"]);
  expect(readNameservers("")).toEqual(["127.0.0.1:53"]);
});

it("hosts: every name of a line, several addresses of a name", () => {
  const hosts = readHosts("127.0.0.1 localhost\n::1 localhost ip6 # x\nbad name\n10.0.0.9 Box box.example.\n");
  expect(Object.fromEntries(hosts)).toEqual({
    localhost: ["127.0.0.1", "::1"],
    ip6: ["::1"],
    box: ["10.0.0.9"],
    "box.example": ["10.0.0.9"],
  });
});
