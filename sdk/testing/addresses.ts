/** Text of addresses and of map keys, for cases and what they expect. Sixteen bytes, IPv4 mapped. */

export function addressBytes(text: string): Uint8Array {
  if (!text.includes(":")) {
    const octets = text.split(".").map(Number);
    if (octets.length !== 4 || octets.some((octet) => !Number.isInteger(octet) || octet < 0 || octet > 255)) {
      throw new TypeError(`not an address: ${text}`);
    }
    return Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...octets]);
  }
  // The URL parser knows the grammar; what it answers has no embedded dotted quad any more.
  const [before = "", after] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const middle = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return Uint8Array.from([...head, ...middle, ...tail].flatMap((group) => [group >> 8, group & 255]));
}

export function addressText(bytes: Uint8Array): string {
  const mapped = bytes.subarray(0, 12).every((octet, index) => octet === (index < 10 ? 0 : 255));
  if (mapped) return bytes.subarray(12, 16).join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** `ip-prefix` keys: `203.0.113.0/24`; a whole address without its length. */
export function prefixText(key: Uint8Array): string {
  const bits = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  const address = addressText(key.subarray(4, 20));
  if (bits === 128) return address;
  return `${address}/${address.includes(":") ? bits : bits - 96}`;
}
