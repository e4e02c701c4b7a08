/**
 * Tables of requests for a plugin, and what is expected of each. Plain data, so that a table can stand in a JSON file
 * (`test/cases.json` of a plugin's folder) or in a test's source.
 *
 * The cases of a table run in order over one guest and one set of maps, so that what one does the next one sees.
 */
import { FakeHost, type FakeHostOptions, type FakeRequest, type FakeResponse, type Outcome } from "./fake-host.ts";

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
  readonly responseStatus?: number;
  readonly target?: string;
  /** All lines, `info: text`. */
  readonly logs?: readonly string[];
  /** Host calls that must have been made. */
  readonly calls?: readonly string[];
  /** All fetches, `auth GET /check name=value`. */
  readonly fetches?: readonly string[];
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
    const exchange = host.begin(entry.request ?? {});
    if (host.has("on_request")) outcome = host.request(exchange);
    const goesOn = outcome === undefined || outcome.verdict === "continue";
    if (entry.response !== undefined && goesOn && host.has("on_response")) {
      outcome = host.response(exchange, entry.response);
    }
  }
  if (outcome === undefined) return result(entry.name, ["the plugin has no hook for it"]);
  return result(entry.name, differences(host, outcome, entry.expect), outcome.fuel);
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
  same("response's status", outcome.status, expected.responseStatus);
  same("target", outcome.target, expected.target);
  same("logs", outcome.logs, expected.logs);
  same("fetches", outcome.fetches, expected.fetches);
  for (const call of expected.calls ?? []) {
    if (!outcome.calls.includes(call)) problems.push(`${call} was not called`);
  }
  if (expected.fuelMax !== undefined && outcome.fuel !== null && outcome.fuel > expected.fuelMax) {
    problems.push(`fuel: ${outcome.fuel}, more than ${expected.fuelMax}`);
  }
  for (const [name, entries] of Object.entries(expected.maps ?? {})) {
    same(`map ${name}`, host.maps.get(name)?.entries(), entries);
  }
  return problems;
}
