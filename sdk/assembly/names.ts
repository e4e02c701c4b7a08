// Header names are integers to the host. Names written as literals stand in static memory, so their address tells which
// one it is, and a small table from address to id makes `header("x-token")` as cheap as its id.
import { name_id } from "./host";
import { encode, encoded, encodedLength } from "./text";

/** Id of a header name; made at top level or in onConfigure, it costs nothing later. */
export type HeaderName = i32;

/** Twice the number of names that one plugin can have. */
const SLOTS: usize = 256;
const slots: usize = memory.data(2048, 8); // SLOTS × (address, id)

/** Asks the host. Names are case-insensitive; 0 for what can't be a name, which no header has. */
export function headerName(text: string): HeaderName {
  encode(text);
  // ASCII only: the language's own toLowerCase brings the tables of Unicode with it, 8 KB of them.
  for (let at = 0; at < encodedLength; at++) {
    const code = load<u8>(encoded + at);
    if (code >= 0x41 && code <= 0x5a) store<u8>(encoded + at, code | 0x20);
  }
  const id = name_id(encoded, encodedLength);
  return id < 0 ? 0 : id;
}

/** The id of a name, remembered for literals. */
export function idOf(name: string): HeaderName {
  const address = changetype<usize>(name);
  if (address >= __heap_base) return headerName(name);
  let slot = (address >> 4) & (SLOTS - 1);
  for (let tries: usize = 0; tries < SLOTS; tries++) {
    const at = slots + (slot << 3);
    const known = load<usize>(at);
    if (known == address) return load<i32>(at + 4);
    if (known == 0) {
      const id = headerName(name);
      store<usize>(at, address);
      store<i32>(at + 4, id);
      return id;
    }
    slot = (slot + 1) & (SLOTS - 1);
  }
  return headerName(name);
}
