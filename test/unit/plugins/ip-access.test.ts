import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatIp, formatPrefix, parsePrefix, prefixContains } from "#core/address.ts";
import { CONTINUE, REPLY } from "#pipeline/filter.ts";
import { AddressSet } from "#plugins/address-set.ts";
import { from, made, through } from "./exchange.ts";

describe("ip-access", () => {
  it.each<[string, readonly string[], readonly string[], string, boolean]>([
    ["nobody is denied", [], ["198.51.100.0/24"], "203.0.113.7", true],
    ["a denied prefix", [], ["203.0.113.0/24"], "203.0.113.7", false],
    ["its first address", [], ["203.0.113.0/24"], "203.0.113.0", false],
    ["its last address", [], ["203.0.113.0/24"], "203.0.113.255", false],
    ["the one before", [], ["203.0.113.0/24"], "203.0.112.255", true],
    ["the one after", [], ["203.0.113.0/24"], "203.0.114.0", true],
    ["somebody else is allowed", ["10.0.0.0/8"], [], "203.0.113.7", false],
    ["allowed", ["10.0.0.0/8", "203.0.113.7"], [], "203.0.113.7", true],
    ["allowed and denied", ["203.0.113.0/24"], ["203.0.113.7"], "203.0.113.7", false],
    ["IPv6", ["2001:db8::/32"], [], "2001:db8:ffff::1", true],
    ["other IPv6", ["2001:db8::/32"], [], "2001:db9::1", false],
    ["all of IPv6 is no IPv4", ["::/0"], [], "203.0.113.7", false],
    ["all of IPv6", ["::/0"], [], "2001:db8::1", true],
    ["all of IPv4", ["0.0.0.0/0"], [], "203.0.113.7", true],
    ["all of IPv4 is no IPv6", ["0.0.0.0/0"], [], "::1", false],
  ])("%s", (_what, allow, deny, address, passes) => {
    const exchange = from(address);
    expect(through(made("ip-access", { allow, deny }), exchange)).toBe(passes ? CONTINUE : REPLY);
    expect(exchange.reply?.status).toBe(passes ? undefined : 403);
  });

  it("a set holds what one of its prefixes holds", () => {
    // Few different bytes, so that prefixes nest and touch; half of all are mapped IPv4.
    const byte = fc.constantFrom(0, 1, 127, 128, 255);
    const ip = fc.tuple(fc.boolean(), fc.array(byte, { minLength: 16, maxLength: 16 })).map(([mapped, bytes]) => {
      if (mapped) bytes.splice(0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255);
      return Uint8Array.from(bytes);
    });
    const prefix = fc.tuple(ip, fc.integer({ min: 0, max: 128 })).map(([bytes, bits]) => {
      const mapped = formatIp(bytes).includes(".") && !formatIp(bytes).includes(":");
      const length = mapped ? Math.max(96, bits) : bits;
      const network = bytes.map((value, index) => {
        const kept = Math.min(8, Math.max(0, length - index * 8));
        return value & (0xff << (8 - kept));
      });
      return formatPrefix({ ip: network, bits: length });
    });
    fc.assert(
      fc.property(fc.array(prefix, { maxLength: 12 }), fc.array(ip, { maxLength: 12 }), (prefixes, addresses) => {
        const set = new AddressSet(prefixes);
        for (const address of addresses) {
          const oracle = prefixes.some((text) => prefixContains(parsePrefix(text), address));
          if (set.has(address) !== oracle)
            throw new Error(`${formatIp(address)} in ${prefixes.join(" ")}: not ${oracle}`);
        }
      }),
      { numRuns: 500 },
    );
  });
});
