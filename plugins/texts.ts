/** Texts of a configuration as the bytes that go into heads and replies. */

/** Field values and names are ASCII by their schemas. */
export function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "latin1"));
}

/** The body of a refusal: one line for people. */
export function lineOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(`${text}\n`));
}
