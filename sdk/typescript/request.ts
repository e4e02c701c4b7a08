import * as http from "penstock:plugin/http@1.0.0";
import { Headers } from "./headers.ts";
import { textOf } from "./text.ts";

/** The request, and who sent it. */
export class Request extends Headers {
  constructor() {
    super("request");
  }

  get method(): string {
    return textOf(http.requestPart("method"));
  }

  /** Normalised, without query: what the route was chosen by. */
  get path(): string {
    return textOf(http.requestPart("path"));
  }

  /** Without the question mark. */
  get query(): string {
    return textOf(http.requestPart("query"));
  }

  /** In lower case, without port. */
  get host(): string {
    return textOf(http.requestPart("host"));
  }

  /** `http` or `https`. */
  get scheme(): string {
    return textOf(http.requestPart("scheme"));
  }

  /** `203.0.113.7` or `2001:db8::7`. */
  get clientAddress(): string {
    return textOf(http.requestPart("client-address"));
  }

  /** The client's address as 16 bytes, IPv4 mapped. */
  get clientBytes(): Uint8Array {
    return http.requestPart("client-bytes");
  }

  /** `/path?query` for the upstream; the route is not chosen again. False: not valid. */
  setTarget(target: string): boolean {
    return http.setTarget(target);
  }
}
