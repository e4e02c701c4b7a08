/** Addresses as the gateway's maps have them: 16 bytes, IPv4 mapped. */

const ADDRESS_BYTES = 16;
const PREFIX_BYTES = 20;

/** Null: the text is no address. */
export function addressBytes(text: string): Uint8Array | null {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  const dotted = /^(?:(.*:))?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  let rest = text;
  if (dotted !== null) {
    const octets = dotted.slice(2).map(Number);
    if (octets.some((octet) => octet > 255)) return null;
    if (dotted[1] === undefined) {
      bytes.set([0xff, 0xff, ...octets], 10);
      return bytes;
    }
    const [a = 0, b = 0, c = 0, d = 0] = octets;
    rest = `${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const halves = rest.split("::");
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const count = groups.flat().length;
  const fits = halves.length === 1 ? count === 8 : halves.length === 2 && count < 8;
  if (!fits || groups.flat().some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return null;
  const [head = [], tail = []] = groups;
  const all = [...head, ...Array.from({ length: halves.length === 1 ? 0 : 8 - count }, () => "0"), ...tail];
  for (const [index, group] of all.entries()) {
    const value = Number.parseInt(group, 16);
    bytes[2 * index] = value >> 8;
    bytes[2 * index + 1] = value & 0xff;
  }
  return bytes;
}

/** `203.0.113.7`, `2001:db8::/32`: length in bits, then the address. Null: the text is no prefix. */
export function prefixBytes(text: string): Uint8Array | null {
  const [address = "", bits] = text.split("/");
  const bytes = addressBytes(address);
  const isMapped = !address.includes(":");
  const most = isMapped ? 32 : 128;
  if (bytes === null || (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > most))) return null;
  const prefix = new Uint8Array(PREFIX_BYTES);
  prefix[0] = (bits === undefined ? most : Number(bits)) + (isMapped ? 96 : 0);
  prefix.set(bytes, 4);
  return prefix;
}
