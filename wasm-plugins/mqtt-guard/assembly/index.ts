// Who may publish and subscribe to which topics, for MQTT 3.1.1 and 5 over a TCP route. A client that tries another topic is cut off before its
// packet reaches the broker.
//
// Packets are held until they are whole: the fixed header says how long they are (MQTT 5.0 section 2.1), and one may have up to 1 MiB here.
import { Action, config, Data, log, refuse, Stream } from "penstock/assembly"

const PUBLISH: u32 = 3
const SUBSCRIBE: u32 = 8
const INCOMPLETE: i32 = -1
const MALFORMED: i32 = -2

let publish: string[] = []
let subscribe: string[] = []
let five = false

export function onConfigure(): bool {
  const published = config().get("publish")
  const subscribed = config().get("subscribe")
  const version = config().get("version")
  if (published !== null) publish = published.split(" ")
  if (subscribed !== null) subscribe = subscribed.split(" ")
  five = version !== null && version == "5"
  return true
}

export function onData(stream: Stream, data: Data): Action {
  if (!data.fromClient) return Action.Continue
  const size = data.size
  const bytes = heap.alloc(size)
  data.read(0, bytes, size)
  let at = 0
  while (at < size) {
    const end = packetEnd(bytes, at, size)
    if (end == INCOMPLETE) return Action.Pause
    if (end == MALFORMED || !isAllowed(bytes, at, end)) {
      log.warn("cut off " + stream.clientAddress)
      return refuse()
    }
    at = end
  }
  return Action.Continue
}

let bodyStart: i32 = 0

/** Behind the packet that begins at `at`; INCOMPLETE, MALFORMED. Sets `bodyStart`. */
function packetEnd(bytes: usize, at: i32, size: i32): i32 {
  let length = 0
  for (let digit = 0; digit < 4; digit++) {
    if (at + 1 + digit >= size) return INCOMPLETE
    const octet = <i32>load<u8>(bytes + at + 1 + digit)
    length |= (octet & 127) << (7 * digit)
    if ((octet & 128) != 0) continue
    bodyStart = at + 2 + digit
    return bodyStart + length > size ? INCOMPLETE : bodyStart + length
  }
  return MALFORMED
}

function isAllowed(bytes: usize, at: i32, end: i32): bool {
  const type = <u32>load<u8>(bytes + at) >> 4
  if (type == PUBLISH) {
    const topic = textAt(bytes, bodyStart, end)
    // MQTT 5 may name a topic by a number that was agreed on with an earlier packet, which was allowed then.
    return topic !== null && (topic.length == 0 ? five : matchesAny(publish, topic))
  }
  if (type != SUBSCRIBE) return true
  let from = bodyStart + 2
  if (five) from += propertiesLength(bytes, from, end)
  if (from >= end) return false
  while (from < end) {
    const filter = textAt(bytes, from, end)
    if (filter === null || !matchesAny(subscribe, filter)) return false
    from += 2 + String.UTF8.byteLength(filter) + 1
  }
  return true
}

/** A text with its length before it (section 1.5.4), or null. */
function textAt(bytes: usize, at: i32, end: i32): string | null {
  if (at + 2 > end) return null
  const length = (<i32>load<u8>(bytes + at) << 8) | <i32>load<u8>(bytes + at + 1)
  return at + 2 + length > end ? null : String.UTF8.decodeUnsafe(bytes + at + 2, length)
}

/** Of the properties (section 2.2.2), their length included; what does not fit leads beyond the packet. */
function propertiesLength(bytes: usize, at: i32, end: i32): i32 {
  let length = 0
  for (let digit = 0; digit < 4 && at + digit < end; digit++) {
    const octet = <i32>load<u8>(bytes + at + digit)
    length |= (octet & 127) << (7 * digit)
    if ((octet & 128) == 0) return length + digit + 1
  }
  return end
}

function matchesAny(allowed: string[], topic: string): bool {
  for (let at = 0; at < allowed.length; at++) if (matches(allowed[at], topic)) return true
  return false
}

/** A topic, or a filter that asks for no more than the one that is allowed: `+` is one level, `#` all that follow (section 4.7). */
function matches(allowed: string, topic: string): bool {
  const wanted = allowed.split("/")
  const given = topic.split("/")
  for (let level = 0; level < wanted.length; level++) {
    if (wanted[level] == "#") return true
    if (level >= given.length || given[level] == "#") return false
    if (wanted[level] != "+" && wanted[level] != given[level]) return false
  }
  return wanted.length == given.length
}
