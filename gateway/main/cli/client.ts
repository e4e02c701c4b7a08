/**
 * The admin API, as the verbs use it: over the local Unix socket, or over TCP with a token. A problem document becomes
 * the PenstockError it was made of.
 */
import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions as SecureRequestOptions } from "node:https";
import { isAbsolute, join, resolve } from "node:path";
import { PenstockError, type Finding } from "#core/errors.ts";
import { cliError } from "#core/errors/cli.ts";
import { UsageError, type ParsedArgs, type VerbContext } from "./verb.ts";

export interface Answer {
  readonly status: number;
  readonly etag: string;
  /** Parsed JSON; undefined when there was none. */
  readonly body: unknown;
}

export interface Request {
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as application/wasm. */
  readonly module?: Uint8Array;
  /** Sent as text/plain. */
  readonly text?: string;
}

/** Applying waits for every worker, and control for the supervisor: longer than either. */
const TIMEOUT_MS = 90_000;
const PAGE_ITEMS = "500";

/** PEM texts: who we are, and whom we believe. */
interface Certificates {
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly ca?: Buffer;
}

/** Of the files that PENSTOCK_CERT, PENSTOCK_KEY and PENSTOCK_CA name. */
function certificatesOf(env: VerbContext["env"], cwd: string): Certificates {
  const read = (name: string): Buffer | undefined => {
    const file = env[name];
    try {
      return file === undefined || file === "" ? undefined : readFileSync(resolve(cwd, file));
    } catch (error) {
      const detail = `${name}: ${error instanceof Error ? error.message : String(file)}`;
      throw cliError("PENSTOCK_CLI_FILE", { detail, cause: error });
    }
  };
  const [cert, key, ca] = [read("PENSTOCK_CERT"), read("PENSTOCK_KEY"), read("PENSTOCK_CA")];
  return {
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(ca === undefined ? {} : { ca }),
  };
}

export class Client {
  readonly #target: SecureRequestOptions;
  readonly #secure: boolean;
  readonly #shown: string;
  readonly #token: string | undefined;

  /** `server`: `http://HOST:PORT`, `https://…`, `unix:/path` or `/path`. */
  constructor(server: string, token: string | undefined, certificates: Certificates = {}) {
    this.#shown = server;
    this.#token = token;
    this.#secure = server.startsWith("https://");
    if (!/^https?:\/\//.test(server)) {
      this.#target = { socketPath: server.replace(/^unix:/, "") };
      return;
    }
    if (!URL.canParse(server))
      throw new UsageError(`--server ${server} is neither a URL nor the path of a Unix socket`);
    const { hostname, port } = new URL(server);
    this.#target = {
      host: hostname.replace(/^\[|\]$/g, ""),
      ...(this.#secure ? certificates : {}),
      port: port === "" ? (this.#secure ? 443 : 80) : Number(port),
    };
  }

  /** The gateway that `--server`, PENSTOCK_SERVER or, by default, the data folder's socket says. */
  static of({ values }: ParsedArgs, { env, dataDir, cwd }: VerbContext): Client {
    const named = typeof values["server"] === "string" ? values["server"] : env["PENSTOCK_SERVER"];
    const data = isAbsolute(dataDir) ? dataDir : resolve(cwd, dataDir);
    const server = named === undefined || named === "" ? join(data, "admin.sock") : named;
    return new Client(server, env["PENSTOCK_TOKEN"], certificatesOf(env, cwd));
  }

  get(path: string, query: Request["query"] = {}): Promise<Answer> {
    return this.send("GET", path, { query });
  }

  /** Undefined where there is nothing. */
  async find(path: string): Promise<Answer | undefined> {
    try {
      return await this.get(path);
    } catch (error) {
      if (error instanceof PenstockError && error.code === "PENSTOCK_CONTROL_NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** All items of a list, page by page. */
  async list(path: string): Promise<Record<string, unknown>[]> {
    const items: Record<string, unknown>[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await this.get(path, { limit: PAGE_ITEMS, cursor });
      const page = body as { items: Record<string, unknown>[]; next?: string };
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    return items;
  }

  async send(method: string, path: string, request: Request = {}): Promise<Answer> {
    const response = await this.#exchange(method, `${path}${queryText(request.query ?? {})}`, request);
    const text = await textOf(response);
    const type = response.headers["content-type"] ?? "";
    const body = type.includes("json") && text !== "" ? parse(text, this.#shown) : undefined;
    const status = response.statusCode ?? 0;
    if (type.startsWith("application/problem+json")) throw asError(body);
    if (status >= 400) throw cliError("PENSTOCK_CLI_ANSWER", { detail: `${this.#shown} answered ${status}` });
    return { status, etag: response.headers.etag ?? "", body };
  }

  /** The bytes of an answer as they come, for as long as they do; one that ends early is an error. */
  async *download(path: string): AsyncGenerator<Uint8Array> {
    const response = await this.#exchange("GET", path, {});
    if ((response.statusCode ?? 0) >= 400) throw asError(parse(await textOf(response), this.#shown));
    for await (const chunk of response) yield chunk as Buffer;
  }

  #exchange(method: string, path: string, request: Request): Promise<IncomingMessage> {
    const content = contentOf(request);
    const all: Record<string, string | number> = { accept: "application/json", ...request.headers };
    if (content !== undefined) {
      all["content-type"] = content.type;
      all["content-length"] = content.bytes.byteLength;
    }
    if (this.#token !== undefined && this.#token !== "") all["authorization"] = `Bearer ${this.#token}`;
    const start = this.#secure ? httpsRequest : httpRequest;
    return new Promise((resolved, reject) => {
      const options = { ...this.#target, method, path, headers: all, agent: false, timeout: TIMEOUT_MS };
      const sent = start(options, resolved);
      sent.on("timeout", () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      sent.on("error", (error) => reject(this.#unreachable(error)));
      sent.end(content?.bytes);
    });
  }

  #unreachable(error: Error): Error {
    const code = "code" in error ? String(error.code) : "";
    if (code === "EACCES" || code === "EPERM")
      return cliError("PENSTOCK_CLI_PERMISSION", { detail: this.#shown, cause: error });
    const why =
      code === "ENOENT" ? "there is no such socket" : code === "ECONNREFUSED" ? "nothing listens there" : error.message;
    return cliError("PENSTOCK_CLI_UNREACHABLE", { detail: `${this.#shown}: ${why}`, cause: error });
  }
}

function contentOf({ json, module, text }: Request): { type: string; bytes: Uint8Array } | undefined {
  if (module !== undefined) return { type: "application/wasm", bytes: module };
  if (text !== undefined) return { type: "text/plain", bytes: Buffer.from(text) };
  return json === undefined ? undefined : { type: "application/json", bytes: Buffer.from(JSON.stringify(json)) };
}

function queryText(query: NonNullable<Request["query"]>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of typeof value === "string" ? [value] : value) search.append(name, one);
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string, shown: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw cliError("PENSTOCK_CLI_ANSWER", { detail: `${shown} sent broken JSON`, cause: error });
  }
}

interface ProblemBody {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly hint: string;
  readonly errors: readonly Finding[];
}

function asError(body: unknown): Error {
  const { code, status, detail, hint, errors } = body as ProblemBody;
  return new PenstockError(code, { message: detail, status, hint }, { errors });
}
