/** Heads as scripts write them, and the bytes they stand for. Checked here, so that what is parsed next can be parsed. */
import { pipelineError } from "#core/errors/pipeline.ts";
import { isFieldValue, isToken } from "#http/octets.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";

export type HeaderInit = Readonly<Record<string, string | number | readonly string[] | undefined>>;

/** A request: `path` is path and query; `method` is GET where it is left out. */
export interface RequestInit {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: HeaderInit;
}

export interface ResponseInit {
  /** 200 where it is left out. */
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: HeaderInit;
}

/** What belongs to one connection, or says how long a body is: not the script's to say. */
const OWN = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** The length that `withLength` has noted; −1: not known. */
export function noteOfLength({ headers }: RequestInit | ResponseInit): number {
  const noted = headers?.["content-length"];
  return noted === undefined ? -1 : Number(noted);
}

/** Says itself when it was made. */
export function isDated({ headers }: ResponseInit): boolean {
  for (const name in headers) if (name.length === 4 && name.toLowerCase() === "date") return true;
  return false;
}

/** `framing`: field lines that say how the body goes. Throws PENSTOCK_PIPELINE_HEAD. */
export function requestText(init: RequestInit, framing: string): string {
  const { method = "GET", path = "/" } = init;
  if (!isToken(method)) throw bad(`method ${JSON.stringify(method)}`);
  if (/[^!-~]/.test(path)) throw bad(`path ${JSON.stringify(path)}`);
  return `${method} ${path} HTTP/1.1\r\n${fieldLines(init.headers ?? {})}${framing}\r\n`;
}

/** The same for a response. */
export function responseText(init: ResponseInit, framing: string): string {
  const { status = 200 } = init;
  if (!Number.isInteger(status) || status < 200 || status > 599) throw bad(`status ${status}`);
  const phrase = init.statusText ?? reasonPhrase(status);
  if (!isFieldValue(phrase)) throw bad(`statusText ${JSON.stringify(phrase)}`);
  return `HTTP/1.1 ${status} ${phrase}\r\n${fieldLines(init.headers ?? {})}${framing}\r\n`;
}

function fieldLines(headers: HeaderInit): string {
  let lines = "";
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || OWN.has(name.toLowerCase())) continue;
    if (!isToken(name)) throw bad(`header name ${JSON.stringify(name)}`);
    for (const one of Array.isArray(value) ? (value as readonly string[]) : [String(value)]) {
      if (!isFieldValue(one)) throw bad(`${name}: ${JSON.stringify(one)}`);
      lines += `${name}: ${one}\r\n`;
    }
  }
  return lines;
}

function bad(detail: string): Error {
  return pipelineError("PENSTOCK_PIPELINE_HEAD", { detail });
}
