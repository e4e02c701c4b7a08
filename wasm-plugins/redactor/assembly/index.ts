// Blots out words in responses of text, asterisk by letter. A word may be split over two pieces of the body: what could be its beginning waits.
import { Action, Body, Bytes, config, log, Request, Response, skipBody } from "penstock/assembly"

const words: Bytes[] = []
const blots: Bytes[] = []

export function onConfigure(): bool {
  const text = config().get("words")
  const list: string[] = text === null ? new Array<string>() : text.split("\n")
  for (let at = 0; at < list.length; at++) {
    if (list[at].length == 0) continue
    const word = new Bytes(list[at])
    words.push(word)
    blots.push(new Bytes("*".repeat(word.length)))
  }
  if (words.length > 0) return true
  log.error("`words` is not set: one a line")
  return false
}

export function onResponse(req: Request, res: Response): Action {
  const type = res.header("content-type")
  const coding = res.header("content-encoding")
  const readable = type !== null && (type.startsWith("text/") || type.startsWith("application/json"))
  // What is compressed can't be read: put `decompress` behind this plugin.
  if (!readable || coding !== null) skipBody()
  return Action.Continue
}

export function onResponseBody(req: Request, body: Body): Action {
  const size = body.size
  const bytes = heap.alloc(size)
  body.read(0, bytes, size)
  let waits = false
  for (let at = 0; at < words.length; at++) {
    const word = words[at]
    for (let from = 0; from < size; from++) {
      const same = common(bytes + from, size - from, word)
      if (same == word.length) {
        body.replaceBytes(from, same, blots[at])
        from += same - 1
      } else if (same == size - from) {
        waits = true
        break
      }
    }
  }
  return waits && !body.isLast ? Action.Pause : Action.Continue
}

/** How many bytes of the word stand there. */
function common(pointer: usize, length: i32, word: Bytes): i32 {
  let same = 0
  while (same < length && same < word.length && load<u8>(pointer + same) == load<u8>(word.pointer + same)) same++
  return same
}
