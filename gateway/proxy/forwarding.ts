/** What upstreams are told of who asks, as the settings have it, made ready once for an engine. */
import { internName } from "#http/names.ts";
import type { ForwardingSpec } from "#snapshot/snapshot.ts";

export class Forwarding {
  readonly xFor: boolean;
  readonly xProto: boolean;
  readonly xHost: boolean;
  /** RFC 7239. */
  readonly forwarded: boolean;
  /** Behind the version that was received, `1.1 `; empty: no Via field. */
  readonly via: Uint8Array;
  /** The value for responses: they come over HTTP/1.1. */
  readonly viaResponse: Uint8Array;
  /** X-Forwarded-For and -Proto and nothing else: the quick way. */
  readonly isPlain: boolean;
  /** The field that carries a request's id; 0: none. */
  readonly requestId: number;

  /** Throws PENSTOCK_HTTP_NAMES_FULL. */
  constructor(spec: ForwardingSpec | undefined) {
    const { xForwarded, forwarded, via, requestId } = spec ?? DEFAULT;
    this.xFor = xForwarded.includes("for");
    this.xProto = xForwarded.includes("proto");
    this.xHost = xForwarded.includes("host");
    this.forwarded = forwarded;
    this.via = Buffer.from(via, "latin1");
    this.viaResponse = Buffer.from(via === "" ? "" : `1.1 ${via}`, "latin1");
    this.isPlain = this.xFor && this.xProto && !this.xHost && !forwarded && via === "";
    this.requestId = requestId === "" ? 0 : internName(requestId);
  }

  get tellsHost(): boolean {
    return this.xHost || this.forwarded;
  }
}

const DEFAULT: ForwardingSpec = { xForwarded: ["for", "proto"], forwarded: false, via: "", requestId: "" };
