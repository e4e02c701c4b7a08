// Asks another upstream whether a request may pass, with its credentials and where it wants to go; a 2xx answer lets it through, with what the answer
// says of the client, and any other is the client's answer.
import { Action, config, fetch, FetchOptions, log, replyHeader, Request, respond } from "penstock/assembly"

let upstream = ""
let path = "/"
/** Copied to the question, and from its answer to the request. */
let asked: string[] = ["authorization", "cookie"]
let told: string[] = ["x-user"]

export function onConfigure(): bool {
  const named = config().get("upstream")
  if (named === null) {
    log.error("`upstream` is not set")
    return false
  }
  upstream = named
  const where = config().get("path")
  if (where !== null) path = where
  const ask = config().get("ask")
  if (ask !== null) asked = ask.split(" ")
  const tell = config().get("tell")
  if (tell !== null) told = tell.split(" ")
  return true
}

export function onRequest(req: Request): Action {
  const options = new FetchOptions().header("x-original-method", req.method).header("x-original-path", req.path)
  for (let at = 0; at < asked.length; at++) {
    const value = req.header(asked[at])
    if (value !== null) options.header(asked[at], value)
  }
  const answer = fetch(upstream, path, options)
  if (answer.status == 0) {
    log.error("no answer of " + upstream + ": " + answer.error)
    return respond(503, "the request can't be checked now\n")
  }
  if (!answer.ok) {
    const challenge = answer.header("www-authenticate")
    if (challenge !== null) replyHeader("www-authenticate", challenge)
    return respond(answer.status, answer.body)
  }
  for (let at = 0; at < told.length; at++) {
    req.removeHeader(told[at])
    const value = answer.header(told[at])
    if (value !== null) req.setHeader(told[at], value)
  }
  return Action.Continue
}
