// So many requests of one client in so many seconds, counted in a map that all workers, and the kernel if it is there, share.
//
// Windows are fixed: the key is the client and the number of the window, and the map drops the oldest (`lru-hash`).
import { Action, config, log, maps, nowMs, replyHeader, Request, respond, SharedMap } from "penstock/assembly"

let counts: SharedMap | null = null
let limit: i64 = 0
let windowMs: i64 = 0

export function onConfigure(): bool {
  const name = config().get("map")
  counts = maps.open(name === null ? "rates" : name)
  limit = config().integer("limit", 0)
  windowMs = <i64>config().integer("seconds", 1) * 1000
  if (counts === null) {
    log.error("the route does not allow the map `" + (name === null ? "rates" : name) + "`")
    return false
  }
  if (limit > 0 && windowMs > 0) return true
  log.error("`limit` and `seconds` must be above 0")
  return false
}

export function onRequest(req: Request): Action {
  const now = nowMs()
  const window = now / windowMs
  const used = counts!.increment(req.clientAddress + " " + window.toString())
  if (used <= limit) return Action.Continue
  const seconds = ((window + 1) * windowMs - now + 999) / 1000
  replyHeader("retry-after", seconds.toString())
  return respond(429, "too many requests\n")
}
