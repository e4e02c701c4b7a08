/** BPF_PROG_TEST_RUN: nanoseconds a packet, without a device. The least of many short runs: what is above it is other work of the machine. */
import fs from "node:fs";
import path from "node:path";
import { parseIp } from "#core/address.ts";
import { makeValue, parseKey } from "#core/map-codec.ts";
import { boottimeNs } from "#sys/clock.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import type { Program } from "#bpf/kernel/program.ts";
import { readSpec } from "#bpf/spec/read.ts";
import { Balancer } from "#bpf/programs/balancer/balancer.ts";
import { VIP4, VIP6, type BalancedNetwork } from "#test/support/balanced-network.ts";
import { PORT, service, type Family } from "#test/support/balancer-rig.ts";
import { frame } from "#test/support/packets.ts";

const OBJECTS = path.join(import.meta.dirname, "../../support/bpf/obj");
const PREFIXES = 10_000;
const PREFIX_SCHEMA = { key: "ip-prefix", keyBytes: 20, value: "expiry", valueBytes: 8 } as const;
const REPEAT = 10_000;
/** enum xdp_action */
const XDP_DROP = 1;
const XDP_PASS = 2;
const XDP_TX = 3;
const XDP_REDIRECT = 4;

function least(program: Program, packet: Buffer, rounds: number, verdicts: readonly number[]): number {
  const found: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const { returned, durationNs } = program.testRun(packet, { repeat: REPEAT });
    if (!verdicts.includes(returned)) throw new Error(`${program.name} answered ${returned}`);
    found.push(durationNs);
  }
  return Math.min(...found);
}

export interface FirewallRuns {
  readonly deniedNs: number;
  readonly denied6Ns: number;
  readonly passedNs: number;
}

/** Over 10 000 prefixes, half of each family. */
export function firewallRuns(rounds: number): FirewallRuns {
  const collection = Collection.load(committedSpec("firewall"));
  try {
    const forever = makeValue(PREFIX_SCHEMA, {}, boottimeNs());
    for (let i = 0; i < PREFIXES; i++) {
      const prefix = i % 2 === 0 ? `10.${i >> 8}.${i & 255}.0/24` : `2001:db8:${i.toString(16)}::/48`;
      collection.map("firewall_deny").update(parseKey(PREFIX_SCHEMA, prefix), forever);
    }
    const program = collection.program("firewall");
    return {
      deniedNs: least(program, frame("10.4.4.9"), rounds, [XDP_DROP]),
      denied6Ns: least(program, frame("2001:db8:65::9"), rounds, [XDP_DROP]),
      passedNs: least(program, frame("192.0.2.1"), rounds, [XDP_PASS]),
    };
  } finally {
    collection.close();
  }
}

export interface BalancerRuns {
  readonly knownNs: number;
  readonly newNs: number;
}

/** DSR, in the balancer's namespace, so that its routes and neighbours are asked. */
export function balancerRuns(network: BalancedNetwork, family: Family, rounds: number): BalancerRuns {
  const balancer = new Balancer();
  try {
    return network.inside(() => {
      const tables = balancer.plan([service(family, "udp", "dsr")]);
      balancer.put(tables);
      // Without a limit: a flow that is not remembered would cost less.
      const limit = Buffer.alloc(8, 0xff);
      limit.writeUInt32LE(0, 0);
      balancer.maps.map("balancer_control").update(Buffer.alloc(4), limit);
      const collection = Collection.load(readSpec(fs.readFileSync(path.join(OBJECTS, "rounds.o"))), {
        maps: balancer.maps.replacements,
        globals: { balancer_config: { device: 1n } },
        programs: ["known_flow", "new_flow"],
      });
      try {
        const sent = [XDP_TX, XDP_REDIRECT];
        return {
          knownNs: least(collection.program("known_flow"), datagram(family), rounds, sent),
          newNs: least(collection.program("new_flow"), datagram(family), rounds, sent),
        };
      } finally {
        collection.close();
      }
    });
  } finally {
    balancer.close();
  }
}

/** Of 64 bytes, from the client to the service. */
function datagram(family: Family): Buffer {
  const v4 = family === "IPv4";
  const at = 14 + (v4 ? 20 : 40);
  const packet = Buffer.alloc(at + 8 + 64);
  packet.writeUInt16BE(v4 ? 0x0800 : 0x86dd, 12);
  if (v4) {
    packet[14] = 0x45;
    packet.writeUInt16BE(packet.length - 14, 16);
    packet[22] = 64;
    packet[23] = 17;
    packet.set(parseIp("10.77.1.2").subarray(12), 26);
    packet.set(parseIp(VIP4).subarray(12), 30);
  } else {
    packet[14] = 0x60;
    packet.writeUInt16BE(packet.length - at, 18);
    packet[20] = 17;
    packet[21] = 64;
    packet.set(parseIp("fd00:77:1::2"), 22);
    packet.set(parseIp(VIP6), 38);
  }
  packet.writeUInt16BE(5555, at);
  packet.writeUInt16BE(PORT, at + 2);
  packet.writeUInt16BE(8 + 64, at + 4);
  return packet;
}
