import { once } from "node:events";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { inNetworkNamespace } from "#sys/netns.ts";
import { PacketCounter, type CounterOptions } from "#bpf/programs/counter/counter.ts";
import { Datagrams } from "#test/support/datagrams.ts";
import { describeKernel } from "#test/support/kernel.ts";
import { connect, Namespace, removeLeftovers } from "#test/support/netns.ts";
import { frame } from "#test/support/packets.ts";

const FLOOD = path.join(import.meta.dirname, "../support/flood.ts");
const XDP_PASS = 2;
/** Ethernet, IP and UDP headers, and `packet`. */
const IPV4_BYTES = 14 + 20 + 8 + 6;
const IPV6_BYTES = 14 + 40 + 8 + 6;

/** A frame whose transport is that protocol, for that port. */
function portFrame(source: string, tags: readonly number[], protocol: number, port: number): Buffer {
  const packet = frame(source, tags);
  const network = 14 + 4 * tags.length;
  const v6 = source.includes(":");
  packet[network + (v6 ? 6 : 9)] = protocol;
  packet.writeUInt16BE(port, network + (v6 ? 40 : 20) + 2);
  return packet;
}

describeKernel("counter, test-run", () => {
  let counter: PacketCounter;
  const make = (options: CounterOptions = {}): PacketCounter => (counter = new PacketCounter(options));
  afterEach(() => counter.close());

  function see(packet: Buffer, times = 1): void {
    for (let i = 0; i < times; i++)
      expect(counter.collection.program("counter").testRun(packet).returned).toBe(XDP_PASS);
  }

  it.each([
    [32, 128, "203.0.113.201", [], "203.0.113.201/32"],
    [24, 64, "203.0.113.201", [], "203.0.113.0/24"],
    [25, 64, "203.0.113.201", [0x8100], "203.0.113.128/25"],
    [1, 64, "203.0.113.201", [0x88a8, 0x8100], "128.0.0.0/1"],
    [0, 64, "203.0.113.201", [], "0.0.0.0/0"],
    [32, 128, "2001:db8:1:2:8000::5", [], "2001:db8:1:2:8000::5/128"],
    [32, 64, "2001:db8:1:2:8000::5", [], "2001:db8:1:2::/64"],
    [32, 65, "2001:db8:1:2:8000::5", [0x8100], "2001:db8:1:2:8000::/65"],
    [32, 33, "2001:db8:8001:2::5", [0x88a8, 0x8100], "2001:db8:8000::/33"],
    [32, 0, "2001:db8::5", [], "::/0"],
  ] as const)("with %i and %i bits, takes %s behind tags %j for %s", (ipv4Bits, ipv6Bits, source, tags, network) => {
    make({ ipv4Bits, ipv6Bits });
    const packet = frame(source, tags);
    see(packet, 3);
    expect(counter.sources()).toEqual([{ source: network, packets: 3, bytes: 3 * packet.length }]);
    const none = { packets: 0, bytes: 0 };
    expect(counter.other()).toEqual({ notIp: none, noRoom: none, noPort: none });
  });

  it("counts apart what is no IP, too short, or behind too many tags", () => {
    make();
    const packets = [
      Buffer.alloc(64),
      frame("203.0.113.1").subarray(0, 30),
      frame("203.0.113.1", [0x8100, 0x8100, 0x8100]),
    ];
    for (const packet of packets) see(packet);
    const bytes = packets.reduce((sum, { length }) => sum + length, 0);
    expect(counter.other().notIp).toEqual({ packets: 3, bytes });
    expect(counter.sources()).toEqual([]);
  });

  it.each([
    ["203.0.113.201", [], 17, "53/udp"],
    ["203.0.113.201", [0x8100], 6, "53/tcp"],
    ["2001:db8::5", [0x88a8, 0x8100], 17, "53/udp"],
  ] as const)("by port, takes %s behind tags %j, protocol %i, for %s", (source, tags, protocol, port) => {
    make({ by: "port" });
    see(portFrame(source, tags, protocol, 53), 2);
    expect(counter.sources()).toMatchObject([{ source: port, packets: 2 }]);
  });

  it("by port, counts apart what has none: other protocols, and fragments without a header", () => {
    make({ by: "port" });
    see(portFrame("203.0.113.1", [], 1, 53));
    const fragment = portFrame("203.0.113.1", [], 17, 53);
    fragment.writeUInt16BE(100, 14 + 6);
    see(fragment);
    expect(counter.sources()).toEqual([]);
    expect(counter.other().noPort.packets).toBe(2);
  });

  it("tells who sent most, by packets or by bytes", () => {
    make();
    for (let i = 1; i <= 20; i++) see(frame(`203.0.113.${i}`), i);
    // Fewer, but larger.
    see(Buffer.concat([frame("2001:db8::1"), Buffer.alloc(1200)]), 5);
    const packets = (list: readonly { source: string; packets: number }[]) =>
      list.map((each) => [each.source, each.packets]);
    expect(packets(counter.top(3))).toEqual([
      ["203.0.113.20/32", 20],
      ["203.0.113.19/32", 19],
      ["203.0.113.18/32", 18],
    ]);
    expect(packets(counter.top(2, "bytes"))).toEqual([
      ["2001:db8::1/128", 5],
      ["203.0.113.20/32", 20],
    ]);
    expect(counter.top(100)).toHaveLength(21);
    expect(counter.top(0)).toEqual([]);
  });

  it("makes room for new sources, and keeps who is heard of", () => {
    make({ sourcesMax: 256 });
    for (let i = 0; i < 4000; i++) {
      see(frame(`10.1.${i >> 8}.${i & 255}`));
      see(frame("192.0.2.1"));
    }
    const sources = counter.sources();
    expect(sources.length).toBeLessThanOrEqual(256);
    expect(sources.length).toBeGreaterThan(50);
    expect(counter.top(1)).toMatchObject([{ source: "192.0.2.1/32", packets: 4000 }]);
  });

  it("counts as many packets as there were, and says what one takes", () => {
    make();
    const rounds = [1, 2, 3].map(
      () => counter.collection.program("counter").testRun(frame("203.0.113.7"), { repeat: 200_000 }).durationNs,
    );
    process.stdout.write(`counter, known source: ${Math.min(...rounds)} ns a packet\n`);
    expect(counter.top(1)).toMatchObject([{ source: "203.0.113.7/32", packets: 600_000 }]);
  });

  it.each([
    [33, 64],
    [-1, 64],
    [24, 129],
    [1.5, 64],
  ])("refuses %d and %d bits", (ipv4Bits, ipv6Bits) => {
    expect(() => new PacketCounter({ ipv4Bits, ipv6Bits })).toThrow(/bits/);
    make();
  });
});

describeKernel("counter, on a device", () => {
  const PACKETS = 3000;
  let client: Namespace;
  let server: Namespace;
  let counter: PacketCounter;

  beforeAll(() => {
    removeLeftovers();
    client = new Namespace("count-c");
    server = new Namespace("count-s");
    connect(client, { device: "cl0", addresses: ["10.78.1.2/24", "10.78.1.3/24", "fd00:78:1::2/64"] }, server, {
      device: "sv0",
      addresses: ["10.78.1.1/24", "fd00:78:1::1/64"],
    });
  });
  afterAll(() => {
    client.destroy();
    server.destroy();
  });
  beforeEach(() => {
    counter = new PacketCounter();
  });
  afterEach(() => counter.close());

  it.each(["native", "generic"] as const)("counts each packet once, %s, from several CPUs at a time", async (mode) => {
    const { link } = inNetworkNamespace(server.path, () => counter.attach("sv0", mode));
    const receivers = [
      new Datagrams(server, "10.78.1.1:7000"),
      new Datagrams(server, "10.78.1.1:7001"),
      new Datagrams(server, "[fd00:78:1::1]:7000"),
    ];
    const flood = (...pairs: string[]) => client.spawn(process.execPath, FLOOD, String(PACKETS), ...pairs);
    const floods = [
      flood("10.78.1.2:0", "10.78.1.1:7000", "[fd00:78:1::2]:0", "[fd00:78:1::1]:7000"),
      // The same source from a second process: two CPUs with one entry.
      flood("10.78.1.2:0", "10.78.1.1:7000", "10.78.1.3:0", "10.78.1.1:7001"),
    ];
    try {
      await Promise.all(floods.map((each) => once(each, "close")));
      const arrived = receivers.map((each, i) => each.drainUpTo(i === 0 ? 2 * PACKETS : PACKETS));
      const counted = (source: string) => counter.sources().find((each) => each.source === source);
      const traffic = (packets = 0, bytes = 0) => ({ packets, bytes: packets * bytes });
      expect(counted("10.78.1.2/32")).toMatchObject(traffic(arrived[0], IPV4_BYTES));
      expect(counted("10.78.1.3/32")).toMatchObject(traffic(arrived[1], IPV4_BYTES));
      expect(counted("fd00:78:1::2/128")).toMatchObject(traffic(arrived[2], IPV6_BYTES));
      // On a busy machine the device's ring can run full; little of it.
      expect(arrived.reduce((sum, each) => sum + each)).toBeGreaterThan(4 * PACKETS - 1000);
    } finally {
      for (const each of floods) each.kill("SIGKILL");
      for (const each of receivers) each.close();
      link.close();
    }
  });
});
