// A checksum of each response's content in a trailer: the body streams on, and who reads it to its end can tell that nothing is missing or changed.
import { Action, Body, config, headerName, kept, log, Request, Response, skipBody, Trailers } from "penstock/assembly"

/** CRC-32C (Castagnoli), the bits of its polynomial the other way round. */
const POLYNOMIAL: u32 = 0x82f63b78
const table = new StaticArray<u32>(256)
const READ_BYTES: i32 = 4096
const chunk = memory.data(4096)

let field: string = "content-digest"

export function onConfigure(): bool {
  for (let octet: u32 = 0; octet < 256; octet++) {
    let value = octet
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? POLYNOMIAL : 0)
    table[octet] = value
  }
  const name = config().get("field")
  if (name !== null) field = name
  if (headerName(field) > 0) return true
  log.error("`field` is not the name of a field")
  return false
}

export function onResponse(req: Request, res: Response): Action {
  // What announces it is what makes room for it: a response of known length has no trailers.
  if (res.hasHeader(field) || !res.addHeader("trailer", field)) skipBody()
  return Action.Continue
}

export function onResponseBody(req: Request, body: Body): Action {
  let sum: u32 = ~(<u32>kept.getNumber())
  const size = body.size
  for (let from = 0; from < size; from += READ_BYTES) {
    const length = body.read(from, chunk, READ_BYTES)
    for (let at = 0; at < length; at++) {
      sum = (sum >>> 8) ^ unchecked(table[(sum ^ load<u8>(chunk + at)) & 0xff])
    }
  }
  kept.putNumber(~sum)
  return Action.Continue
}

export function onResponseEnd(req: Request, trailers: Trailers): void {
  trailers.setHeader(field, "crc32c=:" + base64(<u32>kept.getNumber()) + ":")
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** Four bytes, the first one highest. */
function base64(value: u32): string {
  let text = ""
  for (let shift = 26; shift >= 2; shift -= 6) text += DIGITS.charAt((value >>> shift) & 63)
  return text + DIGITS.charAt((value << 4) & 63) + "=="
}
