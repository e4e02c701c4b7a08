/** Names of DNS messages (RFC 1035 §3.1, §4.1.4): labels with their lengths, shared by pointers to where they stood before. */
const NAME_BYTES_MAX = 255;
const LABEL_BYTES_MAX = 63;
const POINTER = 0xc0;
const POINTER_MAX = 0x3fff;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

export interface ReadName {
  /** `www.example.com`; empty for the root. Dots and backslashes within a label stand behind a backslash. */
  readonly name: string;
  /** The offset behind it, where it was read. */
  readonly end: number;
}

/** Null for what is no name: it leaves the message, its pointers do not lead back, it is too long. */
export function readName(message: Uint8Array, at: number): ReadName | null {
  const labels: string[] = [];
  let [bytes, end, bound] = [1, -1, at];
  for (;;) {
    const length = message[at];
    if (length === undefined) return null;
    if (length >= POINTER) {
      const low = message[at + 1];
      if (low === undefined) return null;
      if (end < 0) end = at + 2;
      at = ((length & 0x3f) << 8) | low;
      // Each pointer leads to before the last one, so that following them ends.
      if (at >= bound) return null;
      bound = at;
    } else if (length > LABEL_BYTES_MAX) {
      return null;
    } else if (length === 0) {
      return { name: labels.join("."), end: end < 0 ? at + 1 : end };
    } else {
      bytes += length + 1;
      if (at + 1 + length > message.length || bytes > NAME_BYTES_MAX) return null;
      labels.push(labelText(message.subarray(at + 1, at + 1 + length)));
      at += 1 + length;
    }
  }
}

/** Adds a name to a message that is being written. `known`: where each ending of a name stands, kept by this function. */
export function writeName(out: number[], name: string, known: Map<string, number>): void {
  const labels = splitName(name);
  let bytes = 1;
  for (const label of labels) {
    if (label.length === 0 || label.length > LABEL_BYTES_MAX)
      throw new RangeError(`${JSON.stringify(name)} is no name`);
    bytes += label.length + 1;
  }
  if (bytes > NAME_BYTES_MAX) throw new RangeError(`${JSON.stringify(name)} is longer than a name can be`);
  for (let i = 0; i < labels.length; i++) {
    // As they are spelled: names are the same in any case (RFC 4343), but who passes them on changes nothing about them.
    const ending = labels
      .slice(i)
      .map((label) => labelText(label))
      .join(".");
    const before = known.get(ending);
    if (before !== undefined) {
      out.push(POINTER | (before >> 8), before & 0xff);
      return;
    }
    if (out.length <= POINTER_MAX) known.set(ending, out.length);
    const label = labels[i] as Uint8Array;
    out.push(label.length, ...label);
  }
  out.push(0);
}

function labelText(label: Uint8Array): string {
  let text = "";
  for (const byte of label) {
    if (byte === DOT || byte === BACKSLASH) text += "\\";
    text += String.fromCharCode(byte);
  }
  return text;
}

function splitName(name: string): Uint8Array[] {
  if (name === "" || name === ".") return [];
  const labels: number[][] = [[]];
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0xff) throw new RangeError(`${JSON.stringify(name)} has characters that no name has`);
    if (code === BACKSLASH && i + 1 < name.length) labels.at(-1)?.push(name.charCodeAt(++i));
    else if (code === DOT && i === name.length - 1) break;
    else if (code === DOT) labels.push([]);
    else labels.at(-1)?.push(code);
  }
  return labels.map((label) => Uint8Array.from(label));
}
