/**
 * `static-files`: GET and HEAD from a directory that the operator gave the gateway when it was started. A path is opened by
 * openat2(2) beneath that directory, so neither `..` nor a symbolic link leads out of it, whatever happens meanwhile.
 */
import { closeSync, fstatSync } from "node:fs";
import { METHOD_GET, METHOD_HEAD, type Head } from "#http/head.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import { BuiltinFilter, type BuiltinServices } from "#plugins/builtin-filter.ts";
import { conditionOf, PRECONDITION_FAILED, PROCEED, rangeHolds, type Validators } from "#plugins/conditions.ts";
import { rangesOf, type ByteRange } from "#plugins/ranges.ts";
import { lineOf } from "#plugins/texts.ts";
import type { StaticFilesConfig } from "#snapshot/builtin-filters.ts";
import { contentTypeOf } from "./content-types.ts";
import { FileSource, type Part } from "./file-source.ts";

const NOT_FOUND = lineOf("there is no such file");
const NOT_ALLOWED = lineOf("files are read with GET and HEAD");
const FAILED = lineOf("the file can't be read");
const NOTHING = new Uint8Array(0);
/** −errno of what is not there for the client: also what it may not know of. */
const MISSING = new Set([-2, -13, -18, -20, -36, -40]);

interface Found {
  readonly fd: number;
  readonly path: string;
  readonly size: number;
  readonly validators: Validators;
}

type Fields = (readonly [string, string])[];

export class StaticFilesFilter extends BuiltinFilter {
  readonly #config: StaticFilesConfig;
  readonly #services: BuiltinServices;
  readonly #directory: number;
  readonly #stripPrefix: string;

  /** Throws when the gateway was not given that directory. */
  constructor(config: StaticFilesConfig, services: BuiltinServices) {
    super("static-files", HOOK_REQUEST_HEAD);
    this.#config = config;
    this.#services = services;
    this.#stripPrefix = config.stripPrefix.replace(/\/$/, "");
    this.#directory = services.files.directory(config.directory);
  }

  override requestHead(exchange: Exchange): Verdict {
    const { request } = exchange;
    if (request.method !== METHOD_GET && request.method !== METHOD_HEAD) {
      if (this.#config.missing === "upstream") return CONTINUE;
      return reply(exchange, 405, [["allow", "GET, HEAD"]], NOT_ALLOWED);
    }
    const path = this.#pathOf(request);
    const found = path === null ? null : this.#find(path);
    if (found === "directory") return this.#redirect(exchange);
    if (found === "failed") return reply(exchange, 503, [], FAILED);
    if (found !== null) return this.#serve(exchange, found);
    if (this.#config.missing === "upstream") return CONTINUE;
    return reply(exchange, 404, [], NOT_FOUND);
  }

  /** Below the directory, without a slash in front; null for what can't be a file's name. */
  #pathOf(request: Head): string | null {
    const text = request.pathText();
    const stripPrefix = this.#stripPrefix;
    if (!text.startsWith("/") || (stripPrefix !== "" && !isBelow(text, stripPrefix))) return null;
    let path: string;
    try {
      // A slash that was escaped is part of a name, and no name has one.
      path = decodeURIComponent(text.slice(stripPrefix.length).replace(/%2f/gi, "\0")).replace(/^\/+/, "");
    } catch {
      return null;
    }
    if (path.includes("\0")) return null;
    const hidden = path.split("/").some((segment) => segment.startsWith(".") && segment !== ".well-known");
    return hidden && !this.#config.hidden ? null : path;
  }

  #find(path: string): Found | "directory" | "failed" | null {
    const opened = this.#open(path === "" ? "." : path);
    if (opened !== "directory") return opened ?? this.#fallback();
    if (path !== "" && !path.endsWith("/")) return "directory";
    for (const name of this.#config.index) {
      const index = this.#open(path + name);
      if (index !== null && index !== "directory") return index;
    }
    return this.#fallback();
  }

  #fallback(): Found | "failed" | null {
    const { fallback } = this.#config;
    const opened = fallback === undefined ? null : this.#open(fallback.replace(/^\/+/, ""));
    return opened === "directory" ? null : opened;
  }

  #open(path: string): Found | "directory" | "failed" | null {
    const fd = this.#services.files.open(this.#directory, path);
    if (fd < 0) return MISSING.has(fd) ? null : "failed";
    const stat = fstatSync(fd, { bigint: true });
    if (stat.isFile()) {
      // Two states of a file differ in time of change or size; of a name with a trailing slash there is none.
      const etag = `"${stat.mtimeNs.toString(36)}-${stat.size.toString(36)}"`;
      const modifiedMs = Number(stat.mtimeNs / 1_000_000_000n) * 1000;
      return { fd, path, size: Number(stat.size), validators: { etag, modifiedMs } };
    }
    closeSync(fd);
    return stat.isDirectory() ? "directory" : null;
  }

  /** So that relative links on the page lead below the directory. */
  #redirect(exchange: Exchange): Verdict {
    const { request } = exchange;
    // Two slashes at the beginning would name another host.
    const path = request.pathText().replace(/^\/+/, "/");
    const query = request.hasQuery ? `?${request.queryText()}` : "";
    return reply(exchange, 301, [["location", `${path}/${query}`]], NOTHING);
  }

  #serve(exchange: Exchange, found: Found): Verdict {
    const { request } = exchange;
    const { fd, size, validators } = found;
    const fields = this.#fieldsOf(found);
    const condition = conditionOf(request, validators);
    if (condition !== PROCEED) {
      closeSync(fd);
      return reply(exchange, condition, condition === PRECONDITION_FAILED ? [] : fields, NOTHING);
    }
    const type = ["content-type", contentTypeOf(found.path, this.#config.types)] as const;
    const asked = request.method === METHOD_GET && rangeHolds(request, validators) ? request.get("range") : undefined;
    const ranges = rangesOf(asked, size);
    if (ranges?.length === 0) {
      closeSync(fd);
      return reply(exchange, 416, [["content-range", `bytes */${size}`]], NOTHING);
    }
    const whole = ranges === null;
    const { parts, more } = whole ? { parts: [{ start: 0, end: size }], more: [type] } : partsOf(ranges, size, type[1]);
    const length = parts.reduce((sum, part) => sum + bytesOf(part), 0);
    const source = new FileSource(this.#services.files, fd, parts);
    exchange.respondFrom(whole ? 200 : 206, [...fields, ...more], length, source);
    return REPLY;
  }

  #fieldsOf({ validators }: Found): Fields {
    const { cacheControl } = this.#config;
    const fields: Fields = [
      ["etag", validators.etag],
      ["last-modified", new Date(validators.modifiedMs).toUTCString()],
      ["accept-ranges", "bytes"],
      // What a browser guesses of somebody's upload may be a script.
      ["x-content-type-options", "nosniff"],
    ];
    if (cacheControl !== undefined) fields.push(["cache-control", cacheControl]);
    return fields;
  }
}

function reply(exchange: Exchange, status: number, fields: Fields, body: Uint8Array): Verdict {
  exchange.respond(status, fields, body);
  return REPLY;
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/");
}

function bytesOf(part: Part): number {
  return part instanceof Uint8Array ? part.length : part.end - part.start;
}

/** One range as it is; several as multipart/byteranges (RFC 9110 section 14.6). */
function partsOf(ranges: readonly ByteRange[], size: number, type: string): { parts: Part[]; more: Fields } {
  const [only] = ranges;
  if (ranges.length === 1 && only !== undefined) {
    const more: Fields = [
      ["content-type", type],
      ["content-range", `bytes ${only.first}-${only.last}/${size}`],
    ];
    return { parts: [{ start: only.first, end: only.last + 1 }], more };
  }
  const boundary = crypto.randomUUID();
  const parts: Part[] = ranges.flatMap(({ first, last }): Part[] => [
    Buffer.from(`\r\n--${boundary}\r\ncontent-type: ${type}\r\ncontent-range: bytes ${first}-${last}/${size}\r\n\r\n`),
    { start: first, end: last + 1 },
  ]);
  parts.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  return { parts, more: [["content-type", `multipart/byteranges; boundary=${boundary}`]] };
}
