/**
 * `compress`: responses in a coding that the client takes (RFC 9110 sections 8.4 and 12.5.3). A response that has a coding
 * already, that is a part of something (206), or whose sender forbids it (no-transform) stays as it is.
 */
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { CONTENT_ENCODING, internName, VARY } from "#http/names.ts";
import { UNKNOWN_LENGTH } from "#pipeline/body.ts";
import { CONTINUE, HOOK_RESPONSE_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import { BuiltinFilter } from "#plugins/builtin-filter.ts";
import { lineOf, octetsOf } from "#plugins/texts.ts";
import type { CompressConfig } from "#snapshot/builtin-filters.ts";
import { CodingStage } from "./coding-stage.ts";
import { compressor } from "#pipeline/codecs/codings.ts";
import { preferred } from "./codings.ts";
import { MediaTypes } from "./media-types.ts";

const ETAG = internName("etag");
const ACCEPT_RANGES = internName("accept-ranges");
const VARY_ON = octetsOf("accept-encoding");
const NO_ROOM = lineOf("the headers do not fit");
const PARTIAL = 206;
/** Of this worker: what is beyond goes out as it is, so that memory stays bounded. */
const STREAMS_MAX = 128;
let streams = 0;

export class CompressFilter extends BuiltinFilter {
  readonly #config: CompressConfig;
  readonly #types: MediaTypes;
  readonly #values: Readonly<Record<string, Uint8Array>>;

  constructor(config: CompressConfig) {
    super("compress", HOOK_RESPONSE_HEAD);
    this.#config = config;
    this.#types = new MediaTypes(config.contentTypes);
    this.#values = Object.fromEntries(config.codings.map((coding) => [coding, octetsOf(coding)]));
  }

  override responseHead(exchange: Exchange): Verdict {
    const { request, response } = exchange;
    if (!this.#eligible(response)) return CONTINUE;
    // Caches must know also of a response that goes out as it is: to another client it would not.
    if (!vary(response)) return noRoom(exchange);
    const coding = preferred(request.get("accept-encoding"), this.#config.codings);
    if (coding === null || response.framing === FRAMING_NONE || streams >= STREAMS_MAX) return CONTINUE;
    const value = this.#values[coding] as Uint8Array;
    if (!response.set(CONTENT_ENCODING, value, 0, value.length) || !weaken(response)) return noRoom(exchange);
    response.remove(ACCEPT_RANGES);
    streams++;
    const options = {
      flush: isEvents(response),
      bytesMax: Number.POSITIVE_INFINITY,
      badInput: { status: 500, detail: "the response could not be compressed" },
      done: () => {
        streams--;
      },
    };
    exchange.filterResponseBody(
      new CodingStage(compressor(coding, this.#config.levels[coding]), options),
      UNKNOWN_LENGTH,
    );
    return CONTINUE;
  }

  #eligible(response: Head): boolean {
    const { status, framing, contentLength } = response;
    if (status < 200 || status === PARTIAL || status === 204 || status === 304) return false;
    if (framing === FRAMING_LENGTH && contentLength < this.#config.bytesMin) return false;
    if (response.find(CONTENT_ENCODING) >= 0 || !this.#types.has(response.get("content-type"))) return false;
    return !/\bno-transform\b/i.test(response.get("cache-control") ?? "");
  }
}

function noRoom(exchange: Exchange): Verdict {
  exchange.respond(500, [], NO_ROOM);
  return REPLY;
}

function isEvents(response: Head): boolean {
  return /^text\/event-stream\b/i.test(response.get("content-type") ?? "");
}

/** Adds Accept-Encoding to Vary, where it isn't in it. */
function vary(response: Head): boolean {
  const value = response.get("vary") ?? "";
  if (/(?:^|[\s,])(?:\*|accept-encoding)(?:$|[\s,])/i.test(value)) return true;
  return response.add(VARY, VARY_ON, 0, VARY_ON.length);
}

/** Other bytes, the same meaning: a weak validator (RFC 9110 section 8.8.1). */
function weaken(response: Head): boolean {
  const tag = response.get("etag");
  if (tag === undefined || tag.startsWith("W/")) return true;
  const value = octetsOf(`W/${tag}`);
  return response.set(ETAG, value, 0, value.length);
}
