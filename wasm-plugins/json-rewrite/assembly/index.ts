// Sets and removes members of JSON objects in bodies, of requests, responses or both. What is no JSON object passes as it is.
import { Action, Body, config, Headers, json, log, Request, Response, skipBody } from "penstock/assembly"

/** In turn: name and JSON of each member that is set, and the names of those that go. */
const names: string[] = []
const values: string[] = []
const removed: string[] = []
let requests = true
let responses = false

export function onConfigure(): bool {
  const where = config().get("where")
  if (where !== null) {
    requests = where == "request" || where == "both"
    responses = where == "response" || where == "both"
    if (!requests && !responses) {
      log.error("`where` is request, response or both")
      return false
    }
  }
  const set = config().get("set")
  const lines: string[] = set === null ? new Array<string>() : set.split("\n")
  for (let at = 0; at < lines.length; at++) {
    const equals = lines[at].indexOf("=")
    if (lines[at].length == 0) continue
    if (equals < 1) {
      log.error("a line of `set` is name=JSON")
      return false
    }
    names.push(lines[at].substring(0, equals))
    values.push(lines[at].substring(equals + 1))
  }
  const remove = config().get("remove")
  const gone: string[] = remove === null ? new Array<string>() : remove.split(" ")
  for (let at = 0; at < gone.length; at++) if (gone[at].length > 0) removed.push(gone[at])
  return true
}

export function onRequest(req: Request): Action {
  if (!requests || !isJson(req)) skipBody()
  return Action.Continue
}

export function onResponse(req: Request, res: Response): Action {
  if (!responses || !isJson(res)) skipBody()
  return Action.Continue
}

export function onRequestBody(req: Request, body: Body): Action {
  return rewrite(body)
}

export function onResponseBody(req: Request, body: Body): Action {
  return rewrite(body)
}

function isJson(head: Headers): bool {
  const type = head.header("content-type")
  return type !== null && type.startsWith("application/json")
}

function rewrite(body: Body): Action {
  if (!body.isLast) return Action.Pause
  let text = body.text
  for (let at = 0; at < removed.length; at++) text = json.remove(text, removed[at])
  for (let at = 0; at < names.length; at++) text = json.set(text, names[at], values[at])
  body.setText(text)
  return Action.Continue
}
