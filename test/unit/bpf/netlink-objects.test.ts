import { describe, expect, it } from "vitest";
import { decodeAddress, encodeAddress } from "#bpf/netlink/addresses.ts";
import { ipBytes, ipText, prefixBytes } from "#bpf/netlink/ip.ts";
import { decodeLink, encodeNewLink } from "#bpf/netlink/links.ts";
import { attribute, message, messages, type Message } from "#bpf/netlink/message.ts";
import { decodeEvent } from "#bpf/netlink/monitor.ts";
import { decodeNeighbour, encodeNeighbour } from "#bpf/netlink/neighbours.ts";
import { decodeRoute, encodeRoute } from "#bpf/netlink/routes.ts";
import { RTM } from "#bpf/netlink/types.ts";

function sent(type: number, parts: readonly Buffer[]): Message {
  const [found] = messages(message(type, 0, 0, ...parts));
  return found ?? expect.fail("no message");
}

describe("what is written comes back", () => {
  it.each(["192.0.2.1", "2001:db8::1", "::", "0.0.0.0"])("address %s", (text) => {
    expect(ipText(ipBytes(text).bytes)).toBe(text);
    const address = decodeAddress(sent(RTM.NEWADDR, encodeAddress({ index: 7, address: text, prefixBits: 9 })));
    expect(address).toMatchObject({ index: 7, address: text, prefixBits: 9, peer: null, validSeconds: null });
  });

  it.each([
    ["0.0.0.0/0", "ipv4", 0],
    ["192.0.2.0/25", "ipv4", 25],
    ["::/0", "ipv6", 0],
    ["2001:db8::/33", "ipv6", 33],
  ] as const)("route %s", (destination, family, bits) => {
    expect(prefixBytes(destination)).toMatchObject({ family, bits });
    const [first, second] = family === "ipv4" ? ["192.0.2.1", "192.0.2.2"] : ["2001:db8::1", "2001:db8::2"];
    for (const nextHops of [
      [{ index: 3, gateway: first ?? "", weight: 1 }],
      [
        { index: 3, gateway: first ?? "", weight: 256 },
        { index: 4, gateway: second ?? "", weight: 1 },
      ],
    ]) {
      const route = { destination, nextHops, metric: 4_000, table: 1000, preferredSource: first ?? "" };
      expect(decodeRoute(sent(RTM.NEWROUTE, encodeRoute(route)))).toMatchObject({ family, type: "unicast", ...route });
    }
  });

  it("neighbour", () => {
    const neighbour = {
      index: 3,
      address: "2001:db8::1",
      hardwareAddress: "02:00:00:00:00:0a",
      state: "stale",
    } as const;
    expect(decodeNeighbour(sent(RTM.NEWNEIGH, encodeNeighbour(neighbour)))).toEqual({ family: "ipv6", ...neighbour });
  });

  it("link", () => {
    const link = { kind: "bridge", name: "bridge", mtu: 1400, hardwareAddress: "02:00:00:00:00:0a", up: true } as const;
    expect(decodeLink(sent(RTM.NEWLINK, encodeNewLink(link)))).toMatchObject(link);
  });
});

describe("what is read", () => {
  it("tells a mapped address from IPv4", () => {
    const bytes = Buffer.alloc(16);
    bytes.fill(0xff, 10, 12);
    bytes.set([192, 0, 2, 1], 12);
    expect([ipText(bytes), ipText(bytes.subarray(12)), ipText(undefined)]).toEqual([
      "::ffff:192.0.2.1",
      "192.0.2.1",
      null,
    ]);
  });

  it("passes over other families and kinds", () => {
    const AF_BRIDGE = 7;
    for (const [type, bytes] of [
      [RTM.NEWLINK, 16],
      [RTM.NEWADDR, 8],
      [RTM.NEWROUTE, 12],
      [RTM.DELNEIGH, 12],
      [99, 0],
    ] as const) {
      const body = Buffer.alloc(bytes);
      if (bytes > 0) body[0] = AF_BRIDGE;
      expect(decodeEvent({ type, flags: 0, sequence: 0, body })).toBeNull();
    }
  });

  it("is refused when a next hop is longer than what holds it", () => {
    const RTA_MULTIPATH = 9;
    const header = Buffer.alloc(12);
    header[0] = 2;
    const hop = Buffer.from([200, 0, 0, 0, 1, 0, 0, 0]);
    expect(() => decodeRoute(sent(RTM.NEWROUTE, [header, attribute(RTA_MULTIPATH, hop)]))).toThrow(
      /next hop of 200 bytes/,
    );
  });
});
