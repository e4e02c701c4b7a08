/**
 * Tables of requests for a plugin, and what is expected of each. Plain data, so that a table can stand in a JSON file
 * (`test/cases.json` of a plugin's folder) or in a test's source.
 *
 * The cases of a table run in order over one guest and one set of maps, so that what one does the next one sees.
 */
import { textOfBytes } from "./bytes.ts";
import { FakeHost } from "./fake-host.ts";
import type { FakeHostOptions, FakeRequest, FakeResponse, FakeStream, Outcome } from "./fake-types.ts";

export interface Expectation {
  readonly verdict?: "continue" | "reply" | "fault";
  /** Of the reply. */
  readonly status?: number;
  readonly body?: string;
  /** Of the reply; only those named. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers after the hook; null: there is none of that name. */
  readonly request?: Readonly<Record<string, string | null>>;
  readonly response?: Readonly<Record<string, string | null>>;
  readonly requestTrailers?: Readonly<Record<string, string | null>>;
  readonly responseTrailers?: Readonly<Record<string, string | null>>;
  /** What has passed of a body; of a stream, towards the upstream, and towards the client. */
  readonly requestBody?: string;
  readonly responseBody?: string;
  readonly responseStatus?: number;
  /** `upstream`, or `upstream endpoint`; null: where its route says. */
  readonly route?: string | null;
  /** All that was sent over connections, `upstream bytes`. */
  readonly sent?: readonly string[];
  /** To a message. */
  readonly answer?: string;
  /** Entries of the tenant; null: there is none. Counters as decimal text. */
  readonly entries?: Readonly<Record<string, string | null>>;
  /** Series, `counter name`. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** All bans so far, in seconds. */
  readonly bans?: Readonly<Record<string, number>>;
  readonly target?: string;
  /** All lines, `info: text`. */
  readonly logs?: readonly string[];
  /** Host calls that must have been made. */
  readonly calls?: readonly string[];
  /** All fetches, `auth GET /check name=value`. */
  readonly fetches?: readonly string[];
  /** The bodies of those that had one. */
  readonly fetchBodies?: readonly string[];
  /** The most that the hook may have used. Only where modules are metered. */
  readonly fuelMax?: number;
  /** Entries of maps after the hook, all of them. */
  readonly maps?: Readonly<Record<string, Readonly<Record<string, string | number>>>>;
}

export interface Case {
  readonly name: string;
  readonly request?: FakeRequest;
  /** With it, the response hook runs, after the request hook where there is one; `expect` is about the last of them. */
  readonly response?: FakeResponse;
  /** In place of a request: a connection of a stream route. */
  readonly stream?: FakeStream;
  /** In place of a request: the clock's hook. */
  readonly tick?: true;
  /** In place of a request: a message by the admin API. */
  readonly message?: string;
  /** The end hook runs too, and `expect` is about it. */
  readonly end?: true;
  /** How often; the last time counts. */
  readonly repeat?: number;
  readonly expect: Expectation;
}

export interface CaseTable extends FakeHostOptions {
  /** The plugin must refuse its configuration with a line that contains this. Then there are no cases. */
  readonly refuses?: string;
  readonly cases?: readonly Case[];
}

export interface CaseResult {
  readonly name: string;
  /** Empty: passed. */
  readonly problems: readonly string[];
  /** Of the last hook; null where modules are not metered. */
  readonly fuel: number | null;
}

/** Runs a table over a module. Never throws for what the module does. */
export function runCases(wasm: Uint8Array, table: CaseTable): CaseResult[] {
  let host: FakeHost;
  try {
    host = new FakeHost(wasm, table);
  } catch (error) {
    return [refusal(table, error instanceof Error ? error.message : String(error))];
  }
  if (table.refuses !== undefined) return [result("configuration", ["it was accepted"])];
  return (table.cases ?? []).map((entry) => runCase(host, entry));
}

const REQUEST_HOOKS = ["on_request", "on_request_body", "on_request_end"];
const RESPONSE_HOOKS = ["on_response", "on_response_body", "on_response_end"];

function result(name: string, problems: readonly string[], fuel: number | null = null): CaseResult {
  return { name, problems, fuel };
}

function refusal({ refuses }: CaseTable, message: string): CaseResult {
  if (refuses === undefined) return result("configuration", [`refused: ${message}`]);
  const expected = message.includes(refuses);
  return result("configuration", expected ? [] : [`refused with ${show(message)}, not with ${show(refuses)}`]);
}

function runCase(host: FakeHost, entry: Case): CaseResult {
  let outcome: Outcome | undefined;
  for (let turn = 0; turn < (entry.repeat ?? 1); turn++) {
    outcome = runOnce(host, entry);
  }
  if (outcome === undefined) return result(entry.name, ["the plugin has no hook for it"]);
  return result(entry.name, differences(host, outcome, entry.expect), outcome.fuel);
}

function runOnce(host: FakeHost, entry: Case): Outcome | undefined {
  if (entry.tick === true) return host.tick();
  if (entry.message !== undefined) return host.tell(entry.message);
  const exchange = host.begin(entry.request ?? {}, entry.stream);
  let outcome: Outcome | undefined;
  if (entry.stream !== undefined) {
    outcome = host.stream(exchange, entry.stream);
  } else {
    if (REQUEST_HOOKS.some((hook) => host.has(hook))) outcome = host.request(exchange, entry.request);
    const goesOn = outcome === undefined || outcome.verdict === "continue";
    if (entry.response !== undefined && goesOn && RESPONSE_HOOKS.some((hook) => host.has(hook))) {
      outcome = host.response(exchange, entry.response);
    }
  }
  return entry.end === true ? host.end(exchange) : outcome;
}

const show = (value: unknown) => JSON.stringify(value) ?? "nothing";

function differences(host: FakeHost, outcome: Outcome, expected: Expectation): string[] {
  const problems: string[] = [];
  const same = (what: string, found: unknown, wanted: unknown) => {
    if (wanted !== undefined && show(found) !== show(wanted)) {
      problems.push(`${what}: ${show(found)}, not ${show(wanted)}`);
    }
  };
  const headers = (what: string, fields: Outcome["request"], wanted: Expectation["request"]) => {
    for (const [name, value] of Object.entries(wanted ?? {})) {
      const found = fields.filter((field) => field[0] === name.toLowerCase()).map((field) => field[1]);
      same(`${what} ${name}`, found.length === 0 ? null : found.join(", "), value);
    }
  };
  if (outcome.fault !== null && expected.verdict !== "fault") problems.push(`fault: ${outcome.fault}`);
  same("verdict", outcome.verdict, expected.verdict);
  same("status", outcome.reply?.status, expected.status);
  same("body", outcome.reply?.body, expected.body);
  headers("reply's", outcome.reply?.headers ?? [], expected.headers);
  headers("request's", outcome.request, expected.request);
  headers("response's", outcome.response, expected.response);
  headers("request's trailer", outcome.requestTrailers, expected.requestTrailers);
  headers("response's trailer", outcome.responseTrailers, expected.responseTrailers);
  same("request's body", outcome.requestBody === null ? null : textOfBytes(outcome.requestBody), expected.requestBody);
  same("response's body", outcome.responseBody && textOfBytes(outcome.responseBody), expected.responseBody);
  same("route", outcome.route, expected.route);
  same("sent", outcome.sent, expected.sent);
  same("answer", textOfBytes(outcome.answer), expected.answer);
  same("response's status", outcome.status, expected.responseStatus);
  same("target", outcome.target, expected.target);
  same("logs", outcome.logs, expected.logs);
  same("fetches", outcome.fetches, expected.fetches);
  same("fetches' bodies", outcome.fetchBodies, expected.fetchBodies);
  for (const call of expected.calls ?? []) {
    if (!outcome.calls.includes(call)) problems.push(`${call} was not called`);
  }
  if (expected.fuelMax !== undefined && outcome.fuel !== null && outcome.fuel > expected.fuelMax) {
    problems.push(`fuel: ${outcome.fuel}, more than ${expected.fuelMax}`);
  }
  ofTenant(host, expected, same);
  return problems;
}

/** What is left with the host. */
function ofTenant(
  host: FakeHost,
  expected: Expectation,
  same: (what: string, found: unknown, wanted: unknown) => void,
) {
  for (const [name, entries] of Object.entries(expected.maps ?? {})) {
    same(`map ${name}`, host.maps.get(name)?.entries(), entries);
  }
  for (const [key, wanted] of Object.entries(expected.entries ?? {})) {
    const value = host.entries.get(key)?.value;
    const text = value?.length === 8 ? String(Buffer.from(value).readBigInt64LE()) : value && textOfBytes(value);
    same(`entry ${key}`, text ?? null, wanted);
  }
  for (const [name, wanted] of Object.entries(expected.metrics ?? {}))
    same(name, host.series.get(name) ?? null, wanted);
  same("bans", Object.fromEntries(host.bans), expected.bans);
}
