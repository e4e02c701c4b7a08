/** Frames for BPF_PROG_TEST_RUN: what a program sees, byte for byte. */
import { parseIp } from "#core/address.ts";

const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;

/** Ethernet, VLAN tags from the outside in (`[0x88a8, 0x8100]`), then an IP header from `source`, then 64 bytes. */
export function frame(source: string, tags: readonly number[] = []): Buffer {
  const v6 = source.includes(":");
  const protocols = [...tags, v6 ? ETH_P_IPV6 : ETH_P_IP];
  const link = Buffer.alloc(12 + protocols.length * 4 - 2);
  link.write("0200000000010200000000ff", 0, "hex");
  protocols.forEach((protocol, i) => link.writeUInt16BE(protocol, 12 + i * 4));
  return Buffer.concat([link, v6 ? ipv6(source) : ipv4(source), Buffer.alloc(64)]);
}

function ipv4(source: string): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(84, 2);
  header[8] = 64;
  header[9] = 17;
  header.set(parseIp(source).subarray(12), 12);
  header.set([10, 0, 0, 1], 16);
  return header;
}

function ipv6(source: string): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(64, 4);
  header[6] = 17;
  header[7] = 64;
  header.set(parseIp(source), 8);
  header.set(parseIp("fd00::1"), 24);
  return header;
}
