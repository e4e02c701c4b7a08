/** An interceptor's configuration as its program reads it (src/interceptor_structs.h). */
import { familyOf, ipOf, parseAddress, portOf } from "#core/address.ts";
import type { BtfValue } from "#bpf/btf/codec.ts";

const AF_INET = 2;
const AF_INET6 = 10;

/**
 * struct interceptor_config. `addresses`: where the listener is bound in truth; the first of each family counts, and a
 * family without one is left alone. `lease`: index of its deadline.
 */
export function interceptorConfig(addresses: readonly string[], lease: number): BtfValue {
  return { listener4: listenerAt(addresses, AF_INET), listener6: listenerAt(addresses, AF_INET6), lease };
}

/** struct listener; all zeros when there is no address of the family. */
function listenerAt(addresses: readonly string[], family: number): BtfValue {
  const address = addresses.map((text) => parseAddress(text)).find((each) => familyOf(each) === family);
  if (address === undefined) return {};
  const ip = Buffer.from(ipOf(address));
  const port = portOf(address);
  return {
    ip: { word: [0, 4, 8, 12].map((at) => ip.readUInt32LE(at)) },
    // __be16, written as this machine's number with the same bytes.
    port: ((port & 0xff) << 8) | (port >> 8),
  };
}

const PORTS_BYTES = 65_536 / 8;

/** The bit set of interceptor_ports: bit n of the whole is port n. */
export function portSet(ports: readonly number[]): Buffer {
  const bits = Buffer.alloc(PORTS_BYTES);
  for (const port of ports) bits.writeUInt8(bits.readUInt8(port >> 3) | (1 << (port & 7)), port >> 3);
  return bits;
}
