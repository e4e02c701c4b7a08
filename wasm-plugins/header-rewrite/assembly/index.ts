// Sets, adds and removes headers by configuration, on the way in and on the way out. Rules are lines of text:
//
//     request:  "set x-tenant: acme\nremove cookie"
//     response: "add vary: accept\nremove server"
//
// Rules are read once; applying them makes no string.
import { Request, Response, Action, Bytes, Headers, config, headerName, HeaderName, log } from "penstock/assembly"

enum Edit {
  Set,
  Add,
  Remove,
}

class Rule {
  constructor(
    public edit: Edit,
    public name: HeaderName,
    public value: Bytes,
  ) {}
}

const onTheWayIn: Rule[] = []
const onTheWayOut: Rule[] = []

function readRule(line: string, rules: Rule[]): bool {
  const space = line.indexOf(" ")
  const verb = space < 0 ? line : line.substring(0, space)
  const rest = space < 0 ? "" : line.substring(space + 1).trim()
  const colon = rest.indexOf(":")
  const removing = verb == "remove"
  const name = headerName(removing || colon < 0 ? rest : rest.substring(0, colon).trim())
  if (name == 0 || (!removing && (colon < 0 || (verb != "set" && verb != "add")))) {
    log.error("not a rule: `" + line + "`; write `set name: value`, `add name: value` or `remove name`")
    return false
  }
  const value = new Bytes(removing ? "" : rest.substring(colon + 1).trim())
  rules.push(new Rule(removing ? Edit.Remove : verb == "set" ? Edit.Set : Edit.Add, name, value))
  return true
}

function readRules(key: string, rules: Rule[]): bool {
  const text = config().get(key)
  if (text === null) return true
  const lines = text.split("\n")
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at].trim()
    if (line.length > 0 && !readRule(line, rules)) return false
  }
  return true
}

export function onConfigure(): bool {
  return readRules("request", onTheWayIn) && readRules("response", onTheWayOut)
}

function apply(rules: Rule[], headers: Headers): void {
  for (let at = 0; at < rules.length; at++) {
    const rule = unchecked(rules[at])
    if (rule.edit == Edit.Set) headers.setHeaderTo(rule.name, rule.value)
    else if (rule.edit == Edit.Add) headers.addHeaderOf(rule.name, rule.value)
    else headers.removeHeaderOf(rule.name)
  }
}

export function onRequest(req: Request): Action {
  apply(onTheWayIn, req)
  return Action.Continue
}

export function onResponse(req: Request, res: Response): Action {
  apply(onTheWayOut, res)
  return Action.Continue
}
