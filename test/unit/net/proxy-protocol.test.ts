import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "#core/address.ts";
import { crc32c } from "#net/proxy-protocol/crc32c.ts";
import { decodeProxyHeader } from "#net/proxy-protocol/decode.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import type { Decoded } from "#net/proxy-protocol/header.ts";
import { PROXY_CASES } from "#test/corpus/proxy-protocol/cases.ts";

function bytesOf(text: string): Uint8Array {
  if (!text.startsWith("0x")) return Buffer.from(text, "latin1");
  const marked = text.endsWith("CHECKSUM");
  const bytes = Buffer.from(marked ? text.slice(2).replace("CHECKSUM", "00000000") : text.slice(2), "hex");
  if (marked) bytes.writeUInt32BE(crc32c(bytes, 0, bytes.length), bytes.length - 4);
  return bytes;
}

function wordsOf(decoded: Decoded): string {
  if (decoded.kind === "refused") return `refused ${decoded.reason}`;
  if (decoded.kind !== "header") return decoded.kind;
  const { source, destination } = decoded.header;
  if (source === null || destination === null) return `header ${decoded.bytes}`;
  return `header ${decoded.bytes} ${formatAddress(source)} ${formatAddress(destination)}`;
}

/** The same bytes somewhere in the middle of a larger memory, as in an arena. */
function decodeAt(bytes: Uint8Array, length: number): Decoded {
  const memory = new Uint8Array(bytes.length + 64).fill(0xa5);
  memory.set(bytes.subarray(0, length), 37);
  return decodeProxyHeader(memory, 37, 37 + length);
}

describe("decode", () => {
  test.each(PROXY_CASES)("$name", ({ bytes, outcome }) => {
    const input = bytesOf(bytes);
    expect(wordsOf(decodeAt(input, input.length))).toBe(outcome);
  });

  test.each(PROXY_CASES.filter(({ outcome }) => outcome.startsWith("header")))(
    "split at every byte: $name",
    ({ bytes, outcome }) => {
      const input = bytesOf(bytes);
      const whole = Number(outcome.split(" ")[1]);
      for (let length = 0; length < whole; length++)
        expect(decodeAt(input, length).kind, `${length} bytes`).toBe("more");
      for (let length = whole; length <= input.length; length++) expect(wordsOf(decodeAt(input, length))).toBe(outcome);
    },
  );

  test("CRC-32C of the RFC's examples", () => {
    expect(crc32c(new Uint8Array(32), 0, 32)).toBe(0x8a91_36aa);
    expect(crc32c(new Uint8Array(32).fill(0xff), 0, 32)).toBe(0x62a8_ab43);
    expect(
      crc32c(
        Uint8Array.from({ length: 32 }, (_, i) => i),
        0,
        32,
      ),
    ).toBe(0x46dd_794e);
  });
});

const ipv4 = fc.ipV4().map((ip) => ip);
const address = fc
  .tuple(
    fc.oneof(
      ipv4,
      fc.ipV6().map((ip) => `[${ip}]`),
    ),
    fc.integer({ min: 0, max: 65_535 }),
  )
  .filter(([ip]) => typeof readable(`${ip}:1`) !== "string")
  .map(([ip, port]) => parseAddress(`${ip}:${port}`));

function readable(text: string): unknown {
  try {
    return parseAddress(text);
  } catch {
    return "not in the strict form";
  }
}

describe("encode", () => {
  test.each([
    ["v1", "192.0.2.1:56324", "198.51.100.2:443", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"],
    ["v1", "[2001:db8::1]:1", "[2001:db8::2]:2", "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"],
    ["v1", "192.0.2.1:1", "[2001:db8::2]:2", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n"],
    ["v1", "unix:@client", "unix:/run/x.sock", "PROXY UNKNOWN\r\n"],
  ] as const)("%s %s → %s", (version, source, destination, text) => {
    const bytes = encodeProxyHeader(version, parseAddress(source), parseAddress(destination));
    expect(Buffer.from(bytes).toString("latin1")).toBe(text);
  });

  test("v2 of a Unix client names nobody", () => {
    const bytes = encodeProxyHeader("v2", parseAddress("unix:@a"), parseAddress("unix:@b"));
    expect(Buffer.from(bytes).toString("hex")).toBe("0d0a0d0a000d0a515549540a21000000");
  });

  test.each(["v1", "v2"] as const)("what %s writes is read as what it was", (version) => {
    fc.assert(
      fc.property(address, address, fc.uint8Array({ maxLength: 20 }), (source, destination, rest) => {
        const header = encodeProxyHeader(version, source, destination);
        const decoded = decodeAt(Buffer.concat([header, rest]), header.length + rest.length);
        expect(wordsOf(decoded)).toBe(`header ${header.length} ${bare(source)} ${bare(destination)}`);
      }),
    );
  });
});

/** Scope identifiers do not travel; a mapped address is IPv4. */
function bare(sockaddr: Uint8Array): string {
  const text = formatAddress(sockaddr);
  return text.replace(/^\[::ffff:(\d+\.\d+\.\d+\.\d+)\]/, "$1").replace(/%\d+\]/, "]");
}
