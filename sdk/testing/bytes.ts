/** Bytes as cases write them: text, or `hex:0a0b` for what is none. */

export function bytesOfText(text: string): Uint8Array {
  return text.startsWith("hex:") ? Buffer.from(text.slice(4).replaceAll(" ", ""), "hex") : Buffer.from(text);
}

/** Text where the bytes are that, else `hex:`. */
export function textOfBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString();
  const readable = !/[^\t\n\r\x20-\x7e\x80-\uffff]|\ufffd/u.test(text);
  return readable ? text : `hex:${Buffer.from(bytes).toString("hex")}`;
}
