// Lets an upload pass once a scanner has seen all of it: the request waits, head and body, while its bytes are gathered and posted to another
// upstream. A 2xx answer lets it through, any other below 500 refuses it; without an answer nothing passes.
import { Action, Body, config, fetch, FetchOptions, log, Request, respond, skipBody } from "penstock/assembly"

let upstream = ""
let path = "/scan"
/** A longer upload is refused, as one that nobody has looked at. */
let bytesMax: i32 = 262144
let refusal = "the upload was refused\n"

export function onConfigure(): bool {
  const named = config().get("upstream")
  if (named === null) {
    log.error("`upstream` is not set")
    return false
  }
  upstream = named
  const where = config().get("path")
  if (where !== null) path = where
  bytesMax = config().integer("bytes", bytesMax)
  if (bytesMax < 1 || bytesMax > 1048576) {
    log.error("`bytes` is 1 to 1048576")
    return false
  }
  const words = config().get("refusal")
  if (words !== null) refusal = words + "\n"
  return true
}

export function onRequest(req: Request): Action {
  const method = req.method
  if (method == "GET" || method == "HEAD" || method == "OPTIONS") {
    skipBody()
    return Action.Continue
  }
  const length = req.header("content-length")
  if (length !== null && I64.parseInt(length) > bytesMax) return tooLong()
  return Action.Pause
}

export function onRequestBody(req: Request, body: Body): Action {
  if (body.size > bytesMax) return tooLong()
  if (!body.isLast) return Action.Pause
  if (body.size == 0) return Action.Continue
  const options = new FetchOptions().bodyOf(body).header("x-original-path", req.path)
  options.method = "POST"
  const type = req.header("content-type")
  if (type !== null) options.header("content-type", type)
  const answer = fetch(upstream, path, options)
  if (answer.ok) return Action.Continue
  if (answer.status == 0) log.error("no answer of " + upstream + ": " + answer.error)
  if (answer.status == 0 || answer.status >= 500) return respond(503, "the upload can't be checked now\n")
  log.info("refused " + body.size.toString() + " bytes to " + req.path)
  return respond(403, refusal)
}

function tooLong(): Action {
  return respond(413, "an upload has at most " + bytesMax.toString() + " bytes here\n")
}
