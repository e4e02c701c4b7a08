// Counts what clients are refused (401, 403) and shuts out who is refused too often. Put it before the filter that
// refuses: then it sees that filter's reply on its way back.
//
//     threshold  refusals until the ban, 5
//     seconds    how long the ban lasts, 600
//     failures   map of counters by ip, `failures`
//     blocklist  map of expiries by ip-prefix, `blocklist`
//
// The count is shared by all workers. It is forgotten when the client is banned, so that it starts anew afterwards.
import { Request, Response, Action, SharedMap, config, log, maps } from "penstock/assembly"

let failures: SharedMap | null = null
let blocklist: SharedMap | null = null
let threshold: i32 = 5
let seconds: i32 = 600

function openNamed(key: string, fallback: string): SharedMap | null {
  const configured = config().get(key)
  const name = configured === null ? fallback : configured
  const map = maps.open(name)
  if (map === null) log.error("the route does not allow the map `" + name + "`")
  return map
}

export function onConfigure(): bool {
  threshold = config().integer("threshold", 5)
  seconds = config().integer("seconds", 600)
  if (threshold < 1 || seconds < 1) {
    log.error("`threshold` and `seconds` are numbers above 0")
    return false
  }
  failures = openNamed("failures", "failures")
  blocklist = openNamed("blocklist", "blocklist")
  return failures !== null && blocklist !== null
}

export function onResponse(req: Request, res: Response): Action {
  const status = res.status
  if (status != 401 && status != 403) return Action.Continue
  const counts = failures!
  if (counts.incrementClient() < threshold) return Action.Continue
  if (blocklist!.putClientFor(seconds)) {
    counts.deleteClient()
    log.info("banned " + req.clientAddress + " for " + seconds.toString() + " s")
  } else {
    log.warn("could not ban " + req.clientAddress + ": the blocklist is full")
  }
  return Action.Continue
}
