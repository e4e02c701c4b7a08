/**
 * The OpenAPI document against the API: the document is one (by the meta-schema of OAS 3.1), and thousands of requests made
 * from it, right and wrong ones, get only answers that it describes, and never a 5xx. A new operation is tried the day it
 * is added. Other requests: `PENSTOCK_SEED=N npm test -- test/integration/control/openapi.test.ts`.
 */
import { Agent, request, type IncomingHttpHeaders } from "node:http";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import { FakeSupervisor, wasmModule } from "./fake-supervisor.ts";
import { RequestMaker, type Document, type Made, type Operation } from "./request-maker.ts";

const REQUESTS = 3000;
const SEED = Number(process.env["PENSTOCK_SEED"] ?? 1);

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

let gateway: FakeSupervisor;
let document: Document;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  await gateway.put("/v1/listeners/web", { address: "127.0.0.1:8080", protocol: "http" });
  await gateway.put("/v1/upstreams/api", { endpoints: [{ address: "127.0.0.1:9001" }] });
  const map = { type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 100 };
  await gateway.put("/v1/kernel/maps/blocklist", map);
  await gateway.put("/v1/tenants/acme", { hosts: ["acme.example"] });
  await gateway.upload("/v1/tenants/acme/plugins/guard/versions/1", wasmModule(1));
  await gateway.put("/v1/tenants/acme/secrets/orders", { value: "a value" });
  await gateway.put("/v1/tenants/acme/routes/orders", { listeners: ["web"], upstream: "api" });
  document = (await gateway.call("GET", "/openapi.json")).json as Document;
});
afterAll(async () => {
  agent.destroy();
  await gateway.dispose();
});

it("is a document of OpenAPI 3.1, each operation named once", async () => {
  const { valid, errors } = await new Validator().validate(
    structuredClone(document) as unknown as Parameters<Validator["validate"]>[0],
  );
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { summary, operationId, tags } of operations) {
    expect(summary, operationId).toMatch(/\S/);
    for (const tag of tags) expect(document.tags.map(({ name }) => name)).toContain(tag);
  }
});

it(`answers ${REQUESTS} requests as the document says`, async () => {
  const maker = new RequestMaker(document, SEED, { wasm: () => wasmModule(2) });
  const answers = new Answers(document);
  const seen = new Map<string, Set<number>>();
  const faults = new Map<string, string>();
  let etag = "";
  for (let i = 0; i < REQUESTS; i++) {
    const made = maker.next(etag);
    const answer = await ask(made);
    const what = `seed ${SEED}, request ${i}: ${made.method} ${made.path} ${String(made.body ?? "").slice(0, 400)}`;
    const fault =
      answer.status >= 500 ? `${answer.status} ${answer.text.slice(0, 800)}` : answers.fault(made.operation, answer);
    // The first of each operation's says enough.
    if (fault !== null && !faults.has(made.operation.operationId))
      faults.set(made.operation.operationId, `${what}\n${fault}`);
    etag = answer.headers.etag ?? etag;
    const statuses = seen.get(made.operation.operationId) ?? new Set();
    seen.set(made.operation.operationId, statuses.add(answer.status));
  }
  expect([...faults.values()]).toEqual([]);
  // Every operation was tried, and not all in vain.
  expect(seen.size).toBe(Object.values(document.paths).flatMap((one) => Object.values(one)).length);
  const all = new Set([...seen.values()].flatMap((statuses) => [...statuses]));
  for (const status of [200, 201, 400, 404, 412, 415, 422, 428]) expect(all, `seed ${SEED}`).toContain(status);
  expect((await gateway.call("GET", "/livez")).status).toBe(200);
}, 480_000);

/** What the document says of each answer, compiled when first asked for. */
class Answers {
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true });
  readonly #compiled = new Map<string, ValidateFunction>();

  constructor(described: Document) {
    this.#ajv.addSchema(described as object, "doc");
  }

  /** What of the answer is not described; null: nothing. */
  fault(operation: Operation, { status, headers, text }: Answer): string | null {
    const { operationId, place, responses } = operation;
    const response = responses[String(status)];
    if (response === undefined) return `${operationId} does not describe ${status}: ${text.slice(0, 500)}`;
    if (text === "") return null;
    const type = (headers["content-type"] ?? "").split(";")[0] ?? "";
    const content = response.content ?? {};
    if (!(type in content)) return `${operationId} ${status} is "${type}", not ${Object.keys(content).join(", ")}`;
    if (!type.endsWith("json")) return null;
    const validate = this.#validator(`${place}/responses/${status}/content/${pointerPart(type)}/schema`);
    if (validate(JSON.parse(text))) return null;
    return `${operationId} ${status}: ${this.#ajv.errorsText(validate.errors)}: ${text.slice(0, 500)}`;
  }

  #validator(pointer: string): ValidateFunction {
    const known = this.#compiled.get(pointer);
    if (known !== undefined) return known;
    const made = this.#ajv.compile({ $ref: `doc#${pointer}` });
    this.#compiled.set(pointer, made);
    return made;
  }
}

function pointerPart(text: string): string {
  return encodeURIComponent(text.replaceAll("~", "~0").replaceAll("/", "~1"));
}

/** A stream of events is described by its head. */
function ask({ method, path, headers, body }: Made): Promise<Answer> {
  const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const where = { socketPath: gateway.socketPath, agent, method, path };
  const sent = request({ ...where, headers: { ...headers, ...length } }, (response) => {
    const { statusCode, headers: fields } = response;
    const answer = (text: string): void => resolve({ status: defined(statusCode, "status"), headers: fields, text });
    if (fields["content-type"]?.startsWith("text/event-stream") === true) {
      answer("");
      response.destroy();
      return;
    }
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    response.on("end", () => answer(text)).on("error", reject);
  });
  sent.on("error", reject).end(body);
  return promise;
}
