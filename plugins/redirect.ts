/**
 * `redirect`: answers with a Location that is made of the request's. Always a whole URI with scheme and host, so that a
 * path such as `//elsewhere.example` can't become another host.
 */
import type { Head } from "#http/head.ts";
import { HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { RedirectConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { filled, filledQuery } from "./template.ts";
import { lineOf } from "./texts.ts";

const NO_HOST = lineOf("the request names no host to be redirected from");
const NOTHING = new Uint8Array(0);

export class RedirectFilter extends BuiltinFilter {
  readonly #config: RedirectConfig;

  constructor(config: RedirectConfig) {
    super("redirect", HOOK_REQUEST_HEAD);
    this.#config = config;
  }

  override requestHead(exchange: Exchange): Verdict {
    const location = this.#location(exchange);
    if (location === null) exchange.respond(400, [], NO_HOST);
    else exchange.respond(this.#config.status, [["location", location]], NOTHING);
    return REPLY;
  }

  #location(exchange: Exchange): string | null {
    const { request } = exchange;
    const config = this.#config;
    const hostOf = config.host ?? "{host}";
    if (request.hostStart === request.hostEnd && hostOf.includes("{host}")) return null;
    const scheme = config.scheme ?? exchange.scheme ?? "http";
    const path = filled(config.path ?? "{path}", request);
    const query = config.query === undefined ? request.queryText() : filledQuery(config.query, request);
    return `${scheme}://${filled(hostOf, request)}${this.#port(request)}${path}${query === "" ? "" : `?${query}`}`;
  }

  /** The request's port belongs to its host and scheme: it is kept where both are. */
  #port(request: Head): string {
    const { port, scheme, host } = this.#config;
    if (port !== undefined) return `:${port}`;
    return scheme === undefined && host === undefined && request.port !== 0 ? `:${request.port}` : "";
  }
}
