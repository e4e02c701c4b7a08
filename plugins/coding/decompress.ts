/**
 * `decompress`: takes the coding off requests, so that later filters and the upstream get the content itself, and off
 * responses whose coding the client doesn't take. Bounded, since a kilobyte can stand for a gigabyte.
 */
import { FRAMING_NONE } from "#http/head.ts";
import { CONTENT_ENCODING, internName, VARY } from "#http/names.ts";
import { UNKNOWN_LENGTH } from "#pipeline/body.ts";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  type Exchange,
  type Verdict,
} from "#pipeline/filter.ts";
import { BuiltinFilter } from "#plugins/builtin-filter.ts";
import { lineOf, octetsOf } from "#plugins/texts.ts";
import type { DecompressConfig } from "#snapshot/builtin-filters.ts";
import { CodingStage } from "./coding-stage.ts";
import { decompressor } from "#pipeline/codecs/codings.ts";
import { accepts } from "./codings.ts";

const ACCEPT_RANGES = internName("accept-ranges");
const UNKNOWN = lineOf("this content coding is not taken");
const VARY_ON = octetsOf("accept-encoding");
const PARTIAL = 206;

export class DecompressFilter extends BuiltinFilter {
  readonly #config: DecompressConfig;

  constructor(config: DecompressConfig) {
    super(
      "decompress",
      (config.request ? HOOK_REQUEST_HEAD : 0) | (config.response === "never" ? 0 : HOOK_RESPONSE_HEAD),
    );
    this.#config = config;
  }

  override requestHead(exchange: Exchange): Verdict {
    const { request } = exchange;
    const coding = request.get("content-encoding");
    if (coding === undefined || coding.toLowerCase() === "identity" || request.framing === FRAMING_NONE)
      return CONTINUE;
    const stream = decompressor(coding);
    if (stream === null) {
      // RFC 9110 section 15.5.16: which ones would do.
      exchange.respond(415, [["accept-encoding", "gzip, deflate, br, zstd"]], UNKNOWN);
      return REPLY;
    }
    request.remove(CONTENT_ENCODING);
    const badInput = { status: 400, detail: "the body is not what its Content-Encoding says" };
    exchange.filterRequestBody(new CodingStage(stream, this.#options(badInput)), UNKNOWN_LENGTH);
    return CONTINUE;
  }

  override responseHead(exchange: Exchange): Verdict {
    const { request, response } = exchange;
    const coding = response.get("content-encoding");
    if (coding === undefined || response.framing === FRAMING_NONE || response.status === PARTIAL) return CONTINUE;
    if (this.#config.response === "unless-accepted") {
      response.add(VARY, VARY_ON, 0, VARY_ON.length);
      if (accepts(request.get("accept-encoding"), coding)) return CONTINUE;
    }
    const stream = decompressor(coding);
    if (stream === null) return CONTINUE;
    response.remove(CONTENT_ENCODING);
    response.remove(ACCEPT_RANGES);
    const badInput = { status: 502, detail: "the response is not what its Content-Encoding says" };
    exchange.filterResponseBody(new CodingStage(stream, this.#options(badInput)), UNKNOWN_LENGTH);
    return CONTINUE;
  }

  #options(badInput: {
    readonly status: number;
    readonly detail: string;
  }): ConstructorParameters<typeof CodingStage>[1] {
    return { flush: false, bytesMax: this.#config.bytesMax, badInput, done: () => {} };
  }
}
