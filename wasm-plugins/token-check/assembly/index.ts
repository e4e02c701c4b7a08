// Lets through who shows the token that the route is configured with, and says so to the upstream.
//
// Written with the fast forms: names and values are made once, so that a request allocates nothing. The comparison takes
// the same time wherever the difference is.
import { Request, Action, Bytes, config, headerName, log, respond } from "penstock/assembly"

const X_TOKEN = headerName("x-token")
const X_CHECKED = headerName("x-checked")
const ONE = new Bytes("1")
let token = new Bytes("")

export function onConfigure(): bool {
  const text = config().get("token")
  // Without a token, "no token" would be the right one.
  if (text === null || text.length == 0) {
    log.error("`token` is not set")
    return false
  }
  token = new Bytes(text)
  return true
}

export function onRequest(req: Request): Action {
  if (!req.headerIs(X_TOKEN, token)) return respond(401, "no token\n")
  req.setHeaderTo(X_CHECKED, ONE)
  return Action.Continue
}
