/** The OpenAPI 3.1 document, generated from the routes themselves (`route.ts`). */
import * as v from "valibot";
import { jsonSchema, type JsonSchema } from "#control/config/json-schema.ts";
import { KernelInterceptor, KernelInterface, KernelTrace } from "#control/config/kernel-devices.ts";
import { KernelBinding } from "#control/config/binding-resources.ts";
import { KernelService } from "#control/config/service-resources.ts";
import { KernelMap, KernelSteering, Listener, Route, Settings, Tenant, Upstream } from "#control/config/resources.ts";
import { Secret } from "#control/config/secret-resources.ts";
import { DeclarationSchema } from "#control/config/declaration.ts";
import { TenantDeclarationSchema } from "#control/config/tenant-declaration.ts";
import { ChangeSchema } from "./edit.ts";
import { ProblemSchema } from "./problem.ts";
import { route, type RouteSpec } from "./route.ts";

/** Schemas that have a name of their own in the document; others stand where they are used. */
const NAMED = new Map<v.GenericSchema, string>([
  [DeclarationSchema, "Declaration"],
  [TenantDeclarationSchema, "TenantDeclaration"],
  [Listener, "Listener"],
  [Upstream, "Upstream"],
  [Tenant, "Tenant"],
  [Secret, "Secret"],
  [Route, "Route"],
  [Settings, "Settings"],
  [KernelMap, "KernelMap"],
  [KernelInterface, "KernelInterface"],
  [KernelSteering, "KernelSteering"],
  [KernelInterceptor, "KernelInterceptor"],
  [KernelService, "KernelService"],
  [KernelBinding, "KernelBinding"],
  [KernelTrace, "KernelTrace"],
  [ChangeSchema, "Change"],
  [ProblemSchema, "Problem"],
]);

const TAGS: Readonly<Record<string, string>> = {
  config: "The whole declaration",
  listeners: "Where connections arrive",
  certificates: "Who the gateway is to clients, and to upstreams",
  upstreams: "Where requests go",
  tenants: "Who owns hosts, routes and plugins",
  secrets: "What filters need to know, and nobody is shown",
  routes: "What happens to a request",
  plugins: "WebAssembly modules of tenants",
  kernel: "Maps and programs in the kernel",
  revisions: "The history of changes",
  tokens: "Who may use this API",
  audit: "Who changed what",
  status: "How the gateway is",
};

/** The route that serves the document describes itself in it as well. */
export function openApiRoute(routes: readonly RouteSpec[]): RouteSpec {
  let text: string | undefined;
  const own = route({
    method: "GET",
    path: "/openapi.json",
    operationId: "getOpenApi",
    summary: "This document",
    tag: "config",
    access: "public",
    responses: { 200: { description: "OpenAPI 3.1", schema: v.looseObject({ openapi: v.string() }) } },
    handle: () => {
      text ??= JSON.stringify(openApi([...routes, own]));
      return { body: text, headers: { "content-type": "application/json" } };
    },
  });
  return own;
}

export function openApi(routes: readonly RouteSpec[]): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const spec of routes) {
    const operations = (paths[spec.path] ??= {});
    operations[spec.method.toLowerCase()] = operation(spec);
  }
  const schemas = Object.fromEntries([...NAMED].map(([schema, name]) => [name, jsonSchema(schema)]));
  return {
    openapi: "3.1.0",
    info: {
      title: "Penstock admin API",
      version: "1",
      description: "Declares what a gateway does. Changes are revisions, applied by every worker or by none.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "This gateway: by its Unix socket, or by loopback TCP with a token" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "`pst_…`; not needed on the Unix socket" },
      },
    },
  };
}

function operation(spec: RouteSpec): JsonSchema {
  const parameters = [
    ...[...spec.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...Object.entries(spec.query ?? {}).map(([name, schema]) => ({
      name,
      in: "query",
      required: false,
      schema: jsonSchema(schema),
    })),
    ...conditions(spec),
  ];
  return {
    operationId: spec.operationId,
    summary: spec.summary,
    tags: [spec.tag],
    security: spec.access === "public" ? [] : [{ token: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(spec.body === undefined ? {} : { requestBody: requestBody(spec.body) }),
    responses: responses(spec),
  };
}

function conditions(spec: RouteSpec): JsonSchema[] {
  const header = (name: string, description: string) => ({
    name,
    in: "header",
    required: false,
    description,
    schema: { type: "string" },
  });
  const changes =
    spec.query !== undefined && "dryRun" in spec.query && ["PUT", "PATCH", "DELETE"].includes(spec.method);
  if (spec.method === "POST") {
    const meaning = "Sent again with the same key, within a day, the request is not done again and has the same answer";
    return [header("Idempotency-Key", meaning)];
  }
  if (!changes) return [];
  const match = header("If-Match", "The ETag of what is replaced, changed or deleted");
  return spec.method === "PUT" ? [match, header("If-None-Match", "`*` to create")] : [match];
}

function requestBody({ types, schema }: NonNullable<RouteSpec["body"]>): JsonSchema {
  const content = types.map((type) => [type, schema === undefined ? {} : { schema: reference(schema) }]);
  return { required: true, content: Object.fromEntries(content) as JsonSchema };
}

function responses(spec: RouteSpec): JsonSchema {
  const own = Object.entries(spec.responses).map(([status, { description, schema, type }]) => {
    const described = schema === undefined ? {} : { schema: reference(schema) };
    const hasBody = schema !== undefined || type !== undefined;
    return [status, { description, ...(hasBody ? { content: { [type ?? "application/json"]: described } } : {}) }];
  });
  const problem = { content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } } };
  const problems = problemStatuses(spec).map(([status, description]) => [status, { description, ...problem }]);
  const cached =
    spec.method === "GET" && spec.access !== "public"
      ? [["304", { description: "What the client has is current" }]]
      : [];
  return Object.fromEntries([...own, ...cached, ...problems]) as JsonSchema;
}

/** Which refusals a route can answer with follows from what it takes. */
function problemStatuses(spec: RouteSpec): [string, string][] {
  const statuses: [string, string][] = [["400", "The request is malformed"]];
  const guarded = spec.access !== "public";
  if (guarded) {
    statuses.push(
      ["401", "A token is needed"],
      ["403", "The token's scopes do not allow this, or a page of another site sent it"],
      ["421", "The request was meant for another host"],
      ["429", "Too many attempts with a wrong token"],
    );
  }
  if (guarded || spec.path.includes("{")) statuses.push(["404", "No such thing, or another tenant's"]);
  const changes = spec.query !== undefined && "dryRun" in spec.query;
  if (changes) {
    statuses.push(
      ["409", "It conflicts with what is there"],
      ["412", "It is not what was read any more"],
      ["428", "A precondition is needed"],
    );
  } else if (spec.method === "PUT" && spec.tag === "kernel") {
    statuses.push(["409", "The map is full"]);
  }
  if (spec.body !== undefined)
    statuses.push(["413", "The body is too large"], ["415", "The body's type is not taken here"]);
  if (spec.method === "POST" && !changes) statuses.push(["409", "The request with this Idempotency-Key has not ended"]);
  // A key that was used for another request is refused, whatever the request takes.
  if (
    changes ||
    spec.method === "POST" ||
    spec.body !== undefined ||
    spec.path.includes("{key}") ||
    spec.path.endsWith("/entries")
  ) {
    statuses.push(["422", "Refused, with all findings"]);
  }
  statuses.push(["500", "A bug, or the store failed"], ["503", "The supervisor does not answer"]);
  return statuses;
}

function reference(schema: v.GenericSchema): JsonSchema {
  const named = NAMED.get(schema);
  return named === undefined ? jsonSchema(schema) : { $ref: `#/components/schemas/${named}` };
}
