/**
 * An operator's own form of an access log line: text with `{field}` in it, compiled once. A value can't end its line: control
 * characters and quotes are escaped as JSON does.
 *
 *     {time} {client} "{method} {target}" {status} {durationMs}
 */
import type { AccessEntry } from "./access-entry.ts";

type Render = (entry: AccessEntry) => string;

const FIELDS: Readonly<Record<string, Render>> = {
  time: ({ timeMs }) => new Date(timeMs).toISOString(),
  timeMs: ({ timeMs }) => timeMs.toFixed(0),
  client: ({ client }) => client || "-",
  method: ({ method }) => escaped(method),
  host: ({ host }) => escaped(host),
  target: ({ target }) => escaped(target),
  status: ({ status }) => String(status),
  requestBytes: ({ requestBytes }) => String(requestBytes),
  responseBytes: ({ responseBytes }) => String(responseBytes),
  durationMs: ({ durationMs }) => durationMs.toFixed(3),
  route: ({ route }) => route || "-",
  upstream: ({ upstream }) => upstream || "-",
  outcome: ({ outcome }) => outcome,
  requestId: ({ requestId }) => escaped(requestId) || "-",
};

export const TEMPLATE_FIELDS: readonly string[] = Object.keys(FIELDS);

/** Names in a template that are no fields. */
export function unknownFields(template: string): string[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)]
    .map(([, name = ""]) => name)
    .filter((name) => !Object.hasOwn(FIELDS, name));
}

/** Of a template without unknown fields; answers a line with its end. */
export function compiledTemplate(template: string): Render {
  const parts = template.split(/(\{[^{}]*\})/).map((part): Render => {
    const field = part.startsWith("{") ? FIELDS[part.slice(1, -1)] : undefined;
    return field ?? (() => part);
  });
  return (entry) => {
    let line = "";
    for (let i = 0; i < parts.length; i++) line += (parts[i] as Render)(entry);
    return `${line}\n`;
  };
}

function escaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
