/** What stands in the program's tables for a declaration, as the object's types want it. Pure. */
import { bpfError } from "#core/errors/bpf.ts";
import { isIpv4, parseIp, parsePrefix } from "#core/address.ts";
import type { BtfValue } from "#bpf/btf/codec.ts";
import type { ServiceDeclaration } from "./declaration.ts";
import { MODE, OWN_PORTS, PROTOCOL, SHARED_PORTS, STATE } from "./layout.ts";
import { maglevRing } from "./maglev.ts";
import { accepts, type EndpointPlace, type ServicePlace } from "./tables.ts";

const NS_PER_MS = 1_000_000n;
const WORD_BITS = 32;
const IP_BITS = 128;

/** struct ip_address: 16 bytes as four words, each of which stands in memory as it came. */
export function ipWords(ip: Uint8Array): BtfValue {
  const bytes = Buffer.from(ip);
  return { word: [0, 4, 8, 12].map((at) => bytes.readUInt32LE(at)) };
}

/** A 16-bit number in network order. */
export function networkOrder(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}

/** struct vip */
export function vipValue({ address, port, protocol }: ServiceDeclaration): BtfValue {
  return { address: ipWords(parseIp(address)), port: networkOrder(port), protocol: PROTOCOL[protocol] };
}

/** struct service */
export function serviceValue({ declaration }: ServicePlace, devices: readonly (string | undefined)[]): BtfValue {
  const { address, port, protocol, mode, flowTimeoutMs } = declaration;
  return {
    address: ipWords(parseIp(address)),
    devices: declaration.devices.reduce((bits, device) => bits | deviceBit(devices, device), 0n),
    flow_timeout_ns: BigInt(flowTimeoutMs) * NS_PER_MS,
    port: networkOrder(port),
    protocol: PROTOCOL[protocol],
    mode: MODE[mode],
  };
}

export function deviceBit(devices: readonly (string | undefined)[], device: string): bigint {
  return 1n << BigInt(devices.indexOf(device));
}

/** struct endpoint */
export function endpointValue(service: ServicePlace, endpoint: EndpointPlace, state: number): BtfValue {
  const { mode, source: given } = service.declaration;
  const ports = given === undefined ? SHARED_PORTS : OWN_PORTS;
  return {
    address: ipWords(parseIp(endpoint.declaration.address)),
    ...sourceValue(endpoint.source, service),
    generation: endpoint.generation,
    port: networkOrder(endpoint.declaration.port),
    port_first: mode === "nat" ? ports.first : 0,
    port_count: mode === "nat" ? ports.count : 0,
    service: service.index,
    state,
  };
}

function sourceValue(
  source: string,
  { declaration: { name } }: ServicePlace,
): { source: BtfValue; source_mask: number } {
  const { ip, bits } = parsePrefix(source);
  if (bits < IP_BITS - WORD_BITS) {
    throw bpfError("PENSTOCK_BPF_SERVICE", {
      detail: `service ${name}: source ${source} leaves more than 32 bits open`,
    });
  }
  const open = 2 ** (IP_BITS - bits) - 1;
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(open);
  return { source: ipWords(ip), source_mask: mask.readUInt32LE() };
}

export function stateOf(endpoint: EndpointPlace): number {
  if (!endpoint.healthy) return STATE.none;
  return accepts(endpoint) ? STATE.active : STATE.draining;
}

/** Who is in the ring, and how much of it they have: equal texts mean equal rings. */
export function ringText({ endpoints }: ServicePlace): string {
  const members = endpoints.filter(accepts).map(({ index, name, declaration }) => [name, index, declaration.weight]);
  return JSON.stringify(members);
}

export function ringOf({ endpoints }: ServicePlace, slots: number): Uint16Array {
  const members = endpoints.filter(accepts);
  return maglevRing(
    members.map(({ index, name, declaration }) => ({ key: name, id: index, weight: declaration.weight })),
    slots,
  );
}

/** Endpoints must be reachable in the way that the mode asks for. Throws PENSTOCK_BPF_SERVICE. */
export function checkFamilies({ declaration }: ServicePlace): void {
  const { name, mode, address, endpoints, source } = declaration;
  const v4 = isIpv4(parseIp(address));
  for (const endpoint of endpoints) {
    const same = isIpv4(parseIp(endpoint.address)) === v4;
    if (mode === "nat" && !same) {
      throw bpfError("PENSTOCK_BPF_SERVICE", {
        detail: `service ${name}: ${endpoint.address} is of another family than ${address}, which NAT can't bridge`,
      });
    }
    if (source !== undefined && isIpv4(parsePrefix(source).ip) !== isIpv4(parseIp(endpoint.address))) {
      throw bpfError("PENSTOCK_BPF_SERVICE", {
        detail: `service ${name}: source ${source} is of another family than ${endpoint.address}`,
      });
    }
  }
}
