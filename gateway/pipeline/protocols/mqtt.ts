/**
 * `decodeMQTT` and `encodeMQTT`: a stream of bytes as one of messages, a packet each. Heads are packets (`codecs/mqtt`), bodies
 * the payload of a PUBLISH. Malformed input ends the stream: MQTT has no way to go on behind it.
 */
import { decodePacket } from "#pipeline/codecs/mqtt/decode.ts";
import { encodePacket } from "#pipeline/codecs/mqtt/encode.ts";
import { Framer } from "#pipeline/codecs/mqtt/framer.ts";
import { LEVEL_3_1_1, type Level, type Packet } from "#pipeline/codecs/mqtt/packets.ts";
import { MALFORMED, TOO_LARGE } from "#pipeline/events/ending.ts";
import { Collector, WHOLE_BYTES_MAX } from "#pipeline/filters/collector.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

export interface MqttOptions<C extends object> {
  /**
   * 4 (3.1.1) unless given; asked once a stream, at its first packet. A CONNECT that passes says it itself: only who reads
   * or writes a broker's side has to be told.
   */
  readonly protocolLevel?: Level | ((context: Context<C>) => Level | undefined);
  /** Of a packet; 1 MiB unless given. */
  readonly bytesMax?: number;
}

function levelOf<C extends object>(options: MqttOptions<C>, context: Context<C>): Level {
  const { protocolLevel: level } = options;
  return (typeof level === "function" ? level(context) : level) ?? LEVEL_3_1_1;
}

export class DecodeMqtt<C extends object> extends PipeFilter<C> {
  readonly #options: MqttOptions<C>;
  readonly #framer: Framer;
  #level: Level | null = null;
  #over = false;

  constructor(scope: Scope<C>, options: MqttOptions<C>) {
    super(scope);
    this.#options = options;
    this.#framer = new Framer(options.bytesMax ?? WHOLE_BYTES_MAX);
  }

  override data(buffer: number, start: number, end: number): void {
    if (this.#over) return;
    const malformed = this.#framer.push(this.memory.subarray(start, end), (first, body) =>
      this.#take(first, body, buffer),
    );
    if (malformed !== null) this.#refuse(malformed);
  }

  /** False: no more. */
  #take(first: number, body: Uint8Array, buffer: number): boolean {
    try {
      this.#level ??= levelOf(this.#options, this.scope.context);
    } catch (error) {
      this.#over = true;
      this.scope.fail(error);
      return false;
    }
    const decoded = decodePacket(first, body, this.#level);
    if (typeof decoded === "string") {
      this.#refuse(decoded);
      return false;
    }
    const { packet, payload } = decoded;
    if (packet.type === "CONNECT") this.#level = packet.protocolLevel;
    this.output.messageStart(packet);
    if (payload.length > 0) this.#pass(payload, buffer);
    if (!this.#over) this.output.messageEnd(null);
    return !this.#over && !this.scope.ended;
  }

  /** A payload that lies where it was received is passed on as it lies there. */
  #pass(payload: Uint8Array, buffer: number): void {
    const { memory } = this;
    if (payload.buffer === memory.buffer) {
      const start = payload.byteOffset - memory.byteOffset;
      this.output.data(buffer, start, start + payload.length);
    } else if (!this.write(payload)) this.#over = true;
  }

  #refuse(reason: string): void {
    this.#over = true;
    this.scope.runtime.log(`MQTT: ${reason}`);
    this.scope.break(MALFORMED);
  }
}

export class EncodeMqtt<C extends object> extends PipeFilter<C> {
  readonly #options: MqttOptions<C>;
  readonly #payload: Collector;
  #packet: Packet | null = null;
  #level: Level | null = null;

  constructor(scope: Scope<C>, options: MqttOptions<C>) {
    super(scope);
    this.#options = options;
    this.#payload = new Collector(options.bytesMax ?? WHOLE_BYTES_MAX);
  }

  override messageStart(head: object): void {
    this.#packet = head as Packet;
  }

  override data(_buffer: number, start: number, end: number): void {
    if (this.#packet !== null && !this.#payload.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override messageEnd(): void {
    const packet = this.#packet;
    if (packet === null) return;
    this.#packet = null;
    const payload = this.#payload.take().toBytes();
    let bytes: Uint8Array;
    try {
      this.#level ??= levelOf(this.#options, this.scope.context);
      if (packet.type === "CONNECT") this.#level = packet.protocolLevel;
      bytes = encodePacket(packet, this.#level, payload);
    } catch (error) {
      return this.scope.fail(error);
    }
    this.write(bytes);
  }
}
