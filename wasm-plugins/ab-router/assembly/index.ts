// Sends a part of the clients to another upstream, and keeps each where it was by a cookie.
import { Action, config, kept, log, randomU64, Request, Response, routeTo } from "penstock/assembly"

const B: u64 = 1
/** The choice is new: the client is told. */
const NEW: u64 = 2

let cookie = "ab"
let upstream = ""
let percent: i32 = 0
let seconds: i32 = 0

export function onConfigure(): bool {
  const named = config().get("upstream")
  const cookieName = config().get("cookie")
  if (named === null) {
    log.error("`upstream` is not set")
    return false
  }
  upstream = named
  if (cookieName !== null) cookie = cookieName
  percent = config().integer("percent", 50)
  seconds = config().integer("seconds", 86400)
  return true
}

export function onRequest(req: Request): Action {
  const cookies = req.header("cookie")
  let choice = cookies === null ? "" : valueOf(cookies, cookie)
  let state: u64 = 0
  if (choice != "a" && choice != "b") {
    choice = <i32>(randomU64() % 100) < percent ? "b" : "a"
    state = NEW
  }
  if (choice == "b") {
    // Where the route does not allow it, everybody stays where they are.
    if (routeTo(upstream)) state |= B
    else log.warn("the route does not allow the upstream " + upstream)
  }
  req.setHeader("x-variant", choice)
  kept.putNumber(state)
  return Action.Continue
}

export function onResponse(req: Request, res: Response): Action {
  const state = kept.getNumber()
  if ((state & NEW) != 0) {
    const choice = (state & B) != 0 ? "b" : "a"
    res.addHeader("set-cookie", cookie + "=" + choice + "; Path=/; Max-Age=" + seconds.toString() + "; SameSite=Lax")
  }
  return Action.Continue
}

/** Of a cookie of this name, or empty. */
function valueOf(cookies: string, name: string): string {
  const pairs = cookies.split(";")
  for (let at = 0; at < pairs.length; at++) {
    const pair = pairs[at].trim()
    if (pair.startsWith(name + "=")) return pair.substring(name.length + 1)
  }
  return ""
}
