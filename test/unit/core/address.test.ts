import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatAddress,
  formatIp,
  formatPrefix,
  ipOf,
  isIpv4,
  parseAddress,
  parseIp,
  parsePrefix,
  portOf,
  prefixContains,
  readAddress,
  readIp,
  readPrefix,
  socketAddress,
} from "#core/address.ts";

describe("IP text", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:C000:0201", "192.0.2.1"],
    // RFC 5952 §1 and §4
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8::1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:aaaa:bbbb:cccc:dddd:eeee:AAAA", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["1:0:0:2:0:0:3:4", "1::2:0:0:3:4"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:1::", "0:0:1::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ])("%s is %s", (text, canonical) => {
    expect(formatIp(parseIp(text))).toBe(canonical);
    expect(parseIp(canonical)).toEqual(parseIp(text));
  });

  test.each([
    ["", "four numbers"],
    ["1.2.3", "four numbers"],
    ["1.2.3.4.5", "four numbers"],
    ["1.2.3.256", '"256" is not a number'],
    ["1.2.3.04", '"04" is not a number'],
    ["1.2.3.", '"" is not a number'],
    ["1.2.3.4 ", '"4 " is not a number'],
    ["0x7f.1.1.1", '"0x7f" is not a number'],
    ["localhost", "four numbers"],
    [":", "one to four hexadecimal digits"],
    [":::", "one to four hexadecimal digits"],
    ["1:2:3:4:5:6:7", "fewer than eight"],
    ["1:2:3:4:5:6:7:8:9", "more than eight"],
    ["1:2:3:4:5:6:7:8::", ":: stands for no group"],
    ["1:2:3:4::5:6:7:8", ":: stands for no group"],
    ["1::2::3", "two times ::"],
    ["1:2:3:4:5:6:7:", "ends with a single colon"],
    ["12345::", "one to four hexadecimal digits"],
    ["g::", "one to four hexadecimal digits"],
    ["1:2:3:4:5:6:7:1.2.3.4", "no room for an IPv4 address"],
    ["::1.2.3", "four numbers"],
    ["::1.2.3.4:5", "is not a number"],
    ["fe80::1%eth0", 'unexpected "%"'],
    ["[::1]", "one to four hexadecimal digits"],
  ])("%j is refused: %s", (text, reason) => {
    expect(readIp(text)).toContain(reason);
    expect(() => parseIp(text)).toThrow(reason);
  });

  test("accepts what node:net accepts, near every border", () => {
    const piece = fc.constantFrom("0", "1", "ffff", "12345", ":", "::", ".", "1.2.3.4", "255", "256", "01", "a", "g");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 16 }), (pieces) => {
        const text = pieces.join("");
        expect(typeof readIp(text) !== "string").toBe(isIP(text) !== 0);
      }),
      { numRuns: 5000 },
    );
  });

  test("formats IPv6 as the URL standard does, and reads it back", () => {
    const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xffff) });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const ip = Uint8Array.from(groups.flatMap((one) => [one >> 8, one & 0xff]));
        fc.pre(!isIpv4(ip));
        const text = formatIp(ip);
        expect(`[${text}]`).toBe(new URL(`http://[${groups.map((one) => one.toString(16)).join(":")}]/`).hostname);
        expect(parseIp(text)).toEqual(ip);
      }),
    );
  });
});

describe("prefixes", () => {
  test.each([
    ["10.0.0.0/8", "10.255.255.255", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["10.0.0.0/8", "::ffff:10.1.2.3", true],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.128/25", "192.0.2.128", true],
    ["192.0.2.4/31", "192.0.2.5", true],
    ["192.0.2.4/31", "192.0.2.6", false],
    ["192.0.2.4", "192.0.2.4", true],
    ["192.0.2.4", "192.0.2.5", false],
    ["0.0.0.0/0", "255.1.2.3", true],
    ["0.0.0.0/0", "::1", false],
    ["::/0", "2001:db8::1", true],
    ["::/0", "192.0.2.1", false],
    ["2001:db8::/33", "2001:db8:7fff::", true],
    ["2001:db8::/33", "2001:db8:8000::", false],
    ["::1/128", "::1", true],
    ["::1/128", "::", false],
  ])("%s and %s: %s", (prefix, ip, expected) => {
    expect(prefixContains(parsePrefix(prefix), parseIp(ip))).toBe(expected);
  });

  test.each([
    ["10.0.0.1/8", "the prefix is 10.0.0.0/8"],
    ["2001:db8::1/64", "the prefix is 2001:db8::/64"],
    ["10.0.0.0/33", "from 0 to 32"],
    ["::/129", "from 0 to 128"],
    ["::/", "from 0 to 128"],
    ["10.0.0.0/08", "from 0 to 32"],
    ["10.0.0.0/-1", "from 0 to 32"],
    ["10.0.0.0/255.0.0.0", "from 0 to 32"],
    ["10/8", "four numbers"],
  ])("%s is refused: %s", (text, reason) => {
    expect(readPrefix(text)).toContain(reason);
    expect(() => parsePrefix(text)).toThrow(reason);
  });

  test.each(["10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "192.0.2.1/32", "::1/128"])(
    "%s is written back",
    (text) => {
      expect(formatPrefix(parsePrefix(text))).toBe(text);
    },
  );
});

describe("socket addresses", () => {
  test.each([
    ["127.0.0.1:80", [2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["0.0.0.0:65535", [2, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["[::1]:443", [10, 0, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
    ["[fe80::1%2]:8080", [10, 0, 31, 144, 0, 0, 0, 0, 254, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0]],
    ["unix:/a", [1, 0, 0x2f, 0x61, 0]],
    ["unix:@a", [1, 0, 0, 0x61]],
  ])("%s", (text, bytes) => {
    expect([...parseAddress(text)]).toEqual(bytes);
    expect(formatAddress(Uint8Array.from(bytes))).toBe(text);
  });

  test("what only the kernel makes", () => {
    expect(formatAddress(Uint8Array.of(1, 0))).toBe("unix:");
    expect(formatAddress(Uint8Array.of(16, 0, 0, 0))).toBe("family 16");
    expect(formatAddress(parseAddress("[::ffff:192.0.2.1]:1"))).toBe("[::ffff:192.0.2.1]:1");
  });

  test("the longest path, and one byte more", () => {
    expect(parseAddress(`unix:/${"p".repeat(106)}`)).toHaveLength(110);
    expect(readAddress(`unix:/${"p".repeat(107)}`)).toContain("108 bytes, and the kernel takes 107");
    expect(readAddress(`unix:/${"é".repeat(54)}`)).toContain("109 bytes");
  });

  test.each([
    ["127.0.0.1", "the port is missing"],
    ["127.0.0.1:", "from 0 to 65535"],
    ["127.0.0.1:65536", "from 0 to 65535"],
    ["127.0.0.1:080", "from 0 to 65535"],
    ["127.0.0.1:+80", "from 0 to 65535"],
    [":80", "0.0.0.0:80 or [::]:80"],
    ["::1:80", "in brackets"],
    ["[::1]", "the port is missing"],
    ["[::1]80", "the port is missing"],
    ["[::1:80", "closing bracket"],
    ["[127.0.0.1]:80", "fewer than eight"],
    ["[fe80::1%eth0]:80", "the interface's number"],
    ["[fe80::1%0]:80", "the interface's number"],
    ["localhost:80", "four numbers"],
    ["unix:", "the path is missing"],
    ["unix:a", "begins with /"],
    ["unix:@", "the abstract name is missing"],
    ["unix:/a\0b", "no zero byte"],
  ])("%j is refused: %s", (text, reason) => {
    expect(readAddress(text)).toContain(reason);
    expect(() => parseAddress(text)).toThrow(reason);
  });

  test("taken apart and put together", () => {
    for (const text of ["192.0.2.1:8080", "[2001:db8::1]:8080"]) {
      const address = parseAddress(text);
      expect(portOf(address)).toBe(8080);
      expect(socketAddress(ipOf(address), 8080)).toEqual(address);
    }
    expect(formatIp(ipOf(parseAddress("[::ffff:192.0.2.1]:1")))).toBe("192.0.2.1");
    expect(ipOf(parseAddress("unix:/a"))).toEqual(new Uint8Array(16));
    expect(portOf(parseAddress("unix:/a"))).toBe(0);
  });

  test("a refusal is a registered error that quotes the text", () => {
    expect(() => parseAddress("x:1")).toThrow(
      expect.objectContaining({ code: "PENSTOCK_ADDRESS_SOCKET", status: 422 }),
    );
    expect(() => parseAddress("x:1")).toThrow('not a socket address: "x:1": an IPv4 address is four numbers');
  });
});
