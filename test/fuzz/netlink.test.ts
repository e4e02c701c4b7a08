/**
 * rtnetlink datagrams of every kind, damaged: objects, nothing, or an error of ours, from the bytes of the datagram alone. The
 * kernel is not hostile, but versions of it differ, and the process that reads has privileges.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { encodeAddress } from "#bpf/netlink/addresses.ts";
import { decodeFilter, encodeClsact, encodeFilterKey, isClsact } from "#bpf/netlink/filters.ts";
import { encodeNewLink } from "#bpf/netlink/links.ts";
import { attribute, message, messages, nested, NLMSG_ERROR, outcome, type Message } from "#bpf/netlink/message.ts";
import { decodeEvent } from "#bpf/netlink/monitor.ts";
import { encodeNeighbour } from "#bpf/netlink/neighbours.ts";
import { encodeRoute } from "#bpf/netlink/routes.ts";
import { RTM } from "#bpf/netlink/types.ts";
import { finds, mutatedBytes, runs } from "#test/support/fuzzing.ts";

const IFINDEX = 7;
const NLM_F_ACK_TLVS = 0x200;
const NLM_F_CAPPED = 0x100;

/** Errno 22, the header of what was asked, and the kernel's words. */
function refusal(): Buffer {
  const asked = message(RTM.NEWROUTE, 0, 1);
  const errno = Buffer.alloc(4);
  errno.writeInt32LE(-22);
  const words = attribute(1, Buffer.from("Invalid argument\0"));
  return message(
    NLMSG_ERROR,
    NLM_F_ACK_TLVS | NLM_F_CAPPED,
    1,
    errno,
    asked,
    words,
    attribute(2, Buffer.of(8, 0, 0, 0)),
  );
}

const SEEDS = [
  message(
    RTM.NEWLINK,
    0,
    0,
    ...encodeNewLink({ kind: "veth", name: "a", mtu: 1500, hardwareAddress: "02:00:00:00:00:01", peer: { name: "b" } }),
    nested(43, attribute(2, Buffer.of(1)), attribute(4, Buffer.of(9, 0, 0, 0))),
  ),
  message(
    RTM.NEWADDR,
    0,
    0,
    ...encodeAddress({ index: IFINDEX, address: "2001:db8::1", prefixBits: 64, validSeconds: 60 }),
  ),
  message(RTM.NEWADDR, 0, 0, ...encodeAddress({ index: IFINDEX, address: "192.0.2.1", prefixBits: 24 })),
  message(
    RTM.NEWROUTE,
    0,
    0,
    ...encodeRoute({
      destination: "198.51.100.0/24",
      nextHops: [
        { index: 3, gateway: "192.0.2.1", weight: 2 },
        { index: 4, gateway: "192.0.2.2" },
      ],
      metric: 5,
    }),
  ),
  message(RTM.DELROUTE, 0, 0, ...encodeRoute({ destination: "::/0", nextHops: [{ index: 3, gateway: "fe80::1" }] })),
  message(
    RTM.NEWNEIGH,
    0,
    0,
    ...encodeNeighbour({ index: 3, address: "192.0.2.9", hardwareAddress: "02:00:00:00:00:0a" }),
  ),
  message(RTM.NEWQDISC, 0, 0, ...encodeClsact(IFINDEX)),
  message(
    RTM.NEWTFILTER,
    0,
    0,
    ...encodeFilterKey({ index: IFINDEX, direction: "ingress", priority: 1, handle: 1 }),
    nested(2, attribute(7, Buffer.from("name\0")), attribute(11, Buffer.of(5, 0, 0, 0))),
  ),
  refusal(),
];
const SPLICES = [
  "00",
  "01",
  "03",
  "04",
  "05",
  "08",
  "10",
  "80",
  "ff",
  "ffff",
  "ffffffff",
  "00000080",
  "04000100",
  "0800",
  "0a",
  "02",
].map((hex) => Buffer.from(hex, "hex"));
const types = [...Object.values(RTM), NLMSG_ERROR];
/** One or two messages, some under another's type, then damaged. */
const damaged = fc
  .array(fc.tuple(fc.constantFrom(...SEEDS), fc.option(fc.constantFrom(...types))), { minLength: 1, maxLength: 2 })
  .map((all) =>
    Buffer.concat(
      all.map(([seed, type]) => {
        const bytes = Buffer.from(seed);
        if (type !== null) bytes.writeUInt16LE(type, 4);
        return bytes;
      }),
    ),
  )
  .chain((bytes) => mutatedBytes([bytes], SPLICES, 4));

type Decode = (message: Message) => unknown;

const decodeOurs: Decode = (one) => {
  switch (one.type) {
    case RTM.NEWTFILTER:
      return decodeFilter(one, "ingress");
    case RTM.NEWQDISC:
      return isClsact(one, IFINDEX);
    case NLMSG_ERROR:
      return outcome(one);
    default:
      return decodeEvent(one);
  }
};

/** What a datagram says, as text; `refused` for an error of ours. Others are thrown. */
function reading(decode: Decode, datagram: Buffer): string {
  try {
    return JSON.stringify(messages(datagram).map(decode));
  } catch (error) {
    if (error instanceof PenstockError && error.code === "PENSTOCK_BPF_NETLINK") return "refused";
    throw error;
  }
}

/** Wherever it lies, and wherever it is cut: never another exception, and never a byte of what lies behind it. */
function holds(decode: Decode, datagram: Buffer): void {
  for (let end = 0; end <= datagram.length; end++) {
    const found = [0, 0xff].map((filling) => {
      const memory = Buffer.alloc(datagram.length + 64, filling);
      datagram.copy(memory, 0, 0, end);
      return reading(decode, memory.subarray(0, end));
    });
    if (found[0] !== found[1]) throw new Error(`${end} bytes: ${found.join(" or ")}`);
  }
}

describe("an rtnetlink datagram", () => {
  it("is understood as it stands", () => {
    for (const seed of SEEDS) expect(reading(decodeOurs, seed)).not.toMatch(/^(refused|\[null\]|\[false\])$/);
    expect(reading(decodeOurs, refusal())).toBe('[{"errno":22,"detail":"Invalid argument, at byte 8 of the request"}]');
  });

  it("that is damaged is refused or read, and nothing behind it", () => {
    fc.assert(
      fc.property(damaged, (datagram) => holds(decodeOurs, datagram)),
      { numRuns: runs(500) },
    );
  });
});

describe("canaries: the harness catches a reader that", () => {
  it.each<[string, Decode]>([
    ["reads a fixed part that is not there", (one) => [decodeOurs(one), one.body.readUInt32LE(4)]],
    [
      "looks behind the end",
      (one) => [
        decodeOurs(one),
        Buffer.from(one.body.buffer, one.body.byteOffset + one.body.length, 8).toString("hex"),
      ],
    ],
  ])("%s", (_name, decode) => {
    expect(finds(damaged, (datagram) => holds(decode, datagram))).toBe(true);
  });
});
