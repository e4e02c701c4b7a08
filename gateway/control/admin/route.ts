/**
 * One way to say what the API does: `route({...})`. What is said here is registered in h3 and described in the OpenAPI
 * document, so that the two can't differ.
 */
import { getRouterParams, type H3, type H3Event } from "h3";
import * as v from "valibot";
import { PenstockError } from "#core/errors.ts";
import { CONTROL_ERRORS, controlError } from "#core/errors/control.ts";
import { unexpectedFields } from "#control/config/fields.ts";
import { refusal, schemaFindings } from "#control/config/check.ts";
import type { Logger } from "#control/logger.ts";
import type { Store } from "#control/store/store.ts";
import type { FailedAttempts } from "./failed-attempts.ts";
import type { Idempotency } from "./idempotency.ts";
import { authorize, identify, type Access, type Identity, type Origin } from "./identity.ts";
import { isUnchanged } from "./preconditions.ts";
import { problemResponse } from "./problem.ts";
import { requireSameSite } from "./same-site.ts";

export type Method = "GET" | "PUT" | "PATCH" | "POST" | "DELETE";

/** Query parameters by name: text as it came, and what it must be. */
export type QuerySchema = Readonly<Record<string, v.GenericSchema<string | undefined, unknown>>>;

export interface Call {
  readonly request: Request;
  /** Path parameters, percent-decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Absent only where `access` is public. */
  readonly identity: Identity;
}

export interface Answer {
  readonly status?: number;
  /** Sent as JSON; text is sent as it is. Undefined: no body. */
  readonly body?: unknown;
  /** Sent as it comes, in place of a body. */
  readonly stream?: ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of what was read or is there after the change. */
  readonly etag?: string;
}

export interface ResponseSpec {
  readonly description: string;
  readonly schema?: v.GenericSchema;
  /** Default: application/json. */
  readonly type?: string;
}

export interface RouteSpec {
  readonly method: Method;
  /** As in OpenAPI: `/v1/listeners/{name}`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly tag: string;
  readonly access: Access;
  readonly query?: QuerySchema;
  readonly body?: { readonly types: readonly string[]; readonly schema?: v.GenericSchema };
  /** Of its own; the problems that any route can answer with are added. */
  readonly responses: Readonly<Record<number, ResponseSpec>>;
  handle(call: Call): Answer | Promise<Answer>;
}

export function route(spec: RouteSpec): RouteSpec {
  return spec;
}

export interface RouteContext {
  readonly store: Store;
  readonly log: Logger;
  readonly failures: FailedAttempts;
  readonly idempotency: Idempotency;
  now(): number;
  /** Which of our sockets the request came by. */
  originOf(event: H3Event): Origin;
  /** SHA-256 of the client's verified certificate; null without TLS. */
  certificateOf(event: H3Event): Uint8Array | null;
  /** Of the client, as text; empty over a Unix socket. */
  addressOf(event: H3Event): string;
}

const NOBODY: Identity = { name: "nobody", who: "nobody", scopes: new Set() };

export function register(app: H3, specs: readonly RouteSpec[], context: RouteContext): void {
  const methods = Map.groupBy(specs, (spec) => spec.path);
  for (const [path, own] of methods) {
    // h3 writes parameters as `:name`.
    const pattern = path.replaceAll(/\{(\w+)\}/g, ":$1");
    for (const spec of own) {
      const handler = (event: H3Event) => answer(event, spec, context);
      app.on(spec.method, pattern, handler);
      if (spec.method === "GET") app.on("HEAD", pattern, handler);
    }
    const allow = own.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
    // Without this h3 answers 404 to a wrong method.
    app.all(pattern, () =>
      problemResponse(controlError("PENSTOCK_CONTROL_METHOD", { detail: `allowed: ${allow}` }), context.log, { allow }),
    );
  }
}

async function answer(event: H3Event, spec: RouteSpec, context: RouteContext): Promise<Response> {
  const request = event.req;
  try {
    const identity = identified(event, context);
    const params = decoded(event);
    authorize(identity, spec.access, params["tenant"]);
    checkQuery(event.url.searchParams, spec.query ?? {});
    const call: Call = { request, params, query: event.url.searchParams, identity: identity ?? NOBODY };
    const key = spec.method === "POST" ? request.headers.get("idempotency-key") : null;
    const answered =
      key === null
        ? spec.handle(call)
        : context.idempotency.once(key, call.identity.who, request, (same) => spec.handle({ ...call, request: same }));
    return respond(request, await answered);
  } catch (error) {
    return problemResponse(error, context.log, refusalHeaders(error));
  }
}

function identified(event: H3Event, context: RouteContext): Identity | undefined {
  const origin = context.originOf(event);
  const certificate = context.certificateOf(event);
  if (origin === "tcp") requireSameSite(event.req, certificate !== null);
  const authorization = event.req.headers.get("authorization");
  const identity = identify(origin, authorization, certificate, context.store, context.now());
  if (identity !== undefined || authorization === null) return identity;
  const seconds = context.failures.failed(context.addressOf(event));
  if (seconds > 0) throw new TooManyAttempts(seconds);
  return undefined;
}

class TooManyAttempts extends PenstockError {
  readonly retryAfterSeconds: number;

  constructor(seconds: number) {
    super("PENSTOCK_CONTROL_TOO_MANY", CONTROL_ERRORS.PENSTOCK_CONTROL_TOO_MANY);
    this.retryAfterSeconds = seconds;
  }
}

function refusalHeaders(error: unknown): Record<string, string> {
  if (error instanceof TooManyAttempts) return { "retry-after": String(error.retryAfterSeconds) };
  const anonymous = error instanceof PenstockError && error.status === 401;
  return anonymous ? { "www-authenticate": 'Bearer realm="penstock"' } : {};
}

/** Decoded here, once: h3's own decoding leaves `%2F` as it is, and a key such as `10.0.0.0/8` has one. */
function decoded(event: H3Event): Record<string, string> {
  const raw = Object.entries(getRouterParams(event));
  try {
    return Object.fromEntries(raw.map(([name, value]) => [name, decodeURIComponent(value ?? "")]));
  } catch (error) {
    throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", {
      detail: "the path is not percent-encoded UTF-8",
      cause: error,
    });
  }
}

function respond(request: Request, { status, body, stream, headers, etag }: Answer): Response {
  const all: Record<string, string> = { "cache-control": "no-store", "x-content-type-options": "nosniff", ...headers };
  if (etag !== undefined) all["etag"] = etag;
  const reading = request.method === "GET" || request.method === "HEAD";
  if (reading && etag !== undefined && isUnchanged(request, etag))
    return new Response(null, { status: 304, headers: all });
  if (stream !== undefined) return new Response(stream, { status: status ?? 200, headers: all });
  if (body === undefined) return new Response(null, { status: status ?? 204, headers: all });
  if (typeof body === "string") return new Response(body, { status: status ?? 200, headers: all });
  all["content-type"] = "application/json";
  return new Response(`${JSON.stringify(body)}\n`, { status: status ?? 200, headers: all });
}

function checkQuery(query: URLSearchParams, schemas: QuerySchema): void {
  const errors = [];
  for (const key of new Set(query.keys())) {
    const schema = Object.hasOwn(schemas, key) ? schemas[key] : undefined;
    if (schema === undefined) {
      const known = Object.keys(schemas).join(", ");
      const detail = `no such query parameter: "${key}"${known === "" ? "" : `; there are ${known}`}`;
      errors.push({ pointer: "", code: "PENSTOCK_CONTROL_BAD_REQUEST", detail });
      continue;
    }
    for (const value of query.getAll(key)) {
      for (const { detail } of schemaFindings(schema, value)) {
        errors.push({ pointer: "", code: "PENSTOCK_CONTROL_BAD_REQUEST", detail: `${key}: ${detail}` });
      }
    }
  }
  if (errors.length > 0)
    throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", { detail: errors[0]?.detail ?? "", errors });
}

/** A small body, all errors at once; throws 422. */
export function parsed<T extends v.GenericSchema>(schema: T, input: unknown): v.InferOutput<T> {
  const errors = [...unexpectedFields(schema, input), ...schemaFindings(schema, input)];
  const result = v.safeParse(schema, input);
  if (errors.length > 0 || !result.success) {
    throw refusal(errors);
  }
  return result.output;
}

export const flag = v.optional(v.picklist(["true", "false"], "true or false"));
export const pageLimit = v.optional(v.pipe(v.string(), v.regex(/^(?:[1-9]\d{0,2}|1000)$/, "a number from 1 to 1000")));
