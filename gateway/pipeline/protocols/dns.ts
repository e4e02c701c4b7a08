/**
 * `decodeDNS` and `encodeDNS`: messages whose body is a DNS message, as a UDP listener gives them, into ones whose head says
 * it, and back. A datagram that is no DNS message is dropped and logged: there is nobody to tell.
 */
import { decodeDns, encodeDns, type DnsMessage } from "#pipeline/codecs/dns/message.ts";
import { Collector } from "#pipeline/filters/collector.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import { TOO_LARGE } from "#pipeline/events/ending.ts";

/** A datagram's most. */
const BYTES_MAX = 65_535;

export class DecodeDns<C extends object> extends PipeFilter<C> {
  readonly #body = new Collector(BYTES_MAX);

  override messageStart(): void {}

  override data(_buffer: number, start: number, end: number): void {
    if (!this.#body.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override messageEnd(): void {
    const message = decodeDns(this.#body.take().toBytes());
    if (typeof message === "string") return this.scope.runtime.log(`DNS: ${message}`);
    this.output.messageStart(message);
    this.output.messageEnd(null);
  }
}

export class EncodeDns<C extends object> extends PipeFilter<C> {
  override messageStart(head: object): void {
    let bytes: Uint8Array;
    try {
      bytes = encodeDns(head as DnsMessage);
    } catch (error) {
      return this.scope.fail(error);
    }
    this.output.messageStart({});
    if (this.write(bytes)) this.output.messageEnd(null);
  }

  override data(): void {}
  override messageEnd(): void {}
}
