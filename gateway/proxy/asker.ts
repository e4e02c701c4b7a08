/**
 * What is remembered of who asks, for replies of the gateway's own and for the log: the request's id, and whether a page is
 * wanted. Read while the request's head is there; pooled with its exchange.
 */
import { ACCEPT } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import type { Forwarding } from "./forwarding.ts";

/** What browsers put first in Accept, and programs don't. */
const HTML = Buffer.from("text/html");
/** A longer one of a trusted client is not taken over. */
const ID_BYTES_MAX = 200;

export class Asker {
  wantsHtml = false;
  /** Host and port as the client wrote them, where upstreams are to be told. */
  host = "";
  #id = "";

  begin(request: Head, trusted: boolean, forwarding: Forwarding): void {
    const accept = request.find(ACCEPT);
    this.wantsHtml =
      accept >= 0 && beginsWithHtml(request.memory, request.valueStart(accept), request.valueEnd(accept));
    if (forwarding.tellsHost)
      this.host = request.port === 0 ? request.hostText() : `${request.hostText()}:${request.port}`;
    const name = forwarding.requestId;
    if (name === 0) return;
    const given = trusted ? request.find(name) : -1;
    if (given >= 0 && request.valueEnd(given) - request.valueStart(given) <= ID_BYTES_MAX) {
      this.#id = request.text(request.valueStart(given), request.valueEnd(given));
      return;
    }
    const value = Buffer.from(this.id, "latin1");
    request.set(name, value, 0, value.length);
  }

  /** Made when it is first asked for. */
  get id(): string {
    if (this.#id === "") this.#id = nextId();
    return this.#id;
  }

  /** Empty when nobody has asked for it. */
  get knownId(): string {
    return this.#id;
  }

  reset(): void {
    this.wantsHtml = false;
    this.host = "";
    this.#id = "";
  }
}

function beginsWithHtml(memory: Uint8Array, start: number, end: number): boolean {
  if (end - start < HTML.length) return false;
  for (let i = 0; i < HTML.length; i++) if (memory[start + i] !== HTML[i]) return false;
  return true;
}

let prefix = "";
let last = 0;

/** Of one worker's life and a count in it: unique without asking anybody, and of no use to who guesses. */
function nextId(): string {
  if (prefix === "") prefix = Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex");
  last = (last + 1) >>> 0;
  return `${prefix}${last.toString(16).padStart(8, "0")}`;
}
