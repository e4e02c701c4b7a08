/** What the host keeps of one TCP stream: both directions, what the guest holds back of each, and the way to send it later. */
import { formatIp, isIpv4 } from "#core/address.ts";
import type { OpeningStream, StreamLine } from "#pipeline/stream-filter.ts";
import { BUFFER_UPSTREAM_DATA, STREAM_UPSTREAM } from "./abi.ts";
import { Direction, type Flow, StreamContext } from "./contexts.ts";
import { GuestBuffer } from "./guest-buffer.ts";
import type { HeadMap } from "./head-map.ts";

const DOWNSTREAM = 2;

/** One direction's bytes that the guest is asked about, or holds. */
export class TcpFlow implements Flow {
  readonly buffer = new GuestBuffer();
  readonly #context: TcpContext;
  readonly #direction: 0 | 1;
  /** The guest has answered PAUSE; what comes waits. */
  holding = false;
  /** The direction's end waits as well. */
  endHeld = false;

  constructor(context: TcpContext, direction: 0 | 1) {
    this.#context = context;
    this.#direction = direction;
  }

  get visible(): GuestBuffer {
    return this.buffer;
  }

  release(): void {
    if (!this.holding) return;
    this.holding = false;
    const bytes = this.buffer.view.slice();
    this.buffer.clear();
    if (bytes.length > 0) this.#context.line?.send(this.#direction, bytes);
    if (!this.endHeld) return;
    this.endHeld = false;
    this.#context.line?.end(this.#direction);
  }

  drop(): void {
    this.buffer.clear();
  }

  abandon(fails: boolean): void {
    if (fails) this.#context.line?.close();
    else this.release();
  }
}

export class TcpContext extends StreamContext {
  readonly opening: OpeningStream;
  readonly flows: readonly [TcpFlow, TcpFlow];
  readonly #directions: readonly [Direction, Direction] = [new Direction(), new Direction()];
  /** Null before the stream runs, and when it is over. */
  line: StreamLine | null = null;
  over = false;

  constructor(id: number, opening: OpeningStream) {
    super(id);
    this.opening = opening;
    this.flows = [new TcpFlow(this, 0), new TcpFlow(this, 1)];
    for (const [index, direction] of this.#directions.entries()) direction.flow = this.flows[index as 0 | 1];
  }

  override get clientAddress(): string {
    if (this.over) return "";
    const { clientIp, clientPort } = this.opening;
    const ip = formatIp(clientIp);
    if (clientPort === 0) return ip;
    return isIpv4(clientIp) ? `${ip}:${clientPort}` : `[${ip}]:${clientPort}`;
  }

  override get routeName(): string {
    return this.opening.routeName;
  }

  override get destination(): string {
    return this.opening.originalDestination;
  }

  override get serverName(): string {
    return this.opening.serverName;
  }

  override get tlsVersion(): string {
    return this.opening.tls?.version ?? "";
  }

  override get certificate(): NonNullable<OpeningStream["tls"]>["certificate"] {
    return this.opening.tls?.certificate ?? null;
  }

  override map(): HeadMap | null {
    return null;
  }

  override mayEdit(): boolean {
    return false;
  }

  override buffer(type: number): GuestBuffer | null {
    if (this.over || type < DOWNSTREAM || type > BUFFER_UPSTREAM_DATA) return null;
    return this.flows[(type - DOWNSTREAM) as 0 | 1].buffer;
  }

  override direction(type: number): Direction | null {
    if (this.over || type < DOWNSTREAM || type > STREAM_UPSTREAM) return null;
    return this.#directions[(type - DOWNSTREAM) as 0 | 1];
  }

  get wantsClose(): boolean {
    return this.#directions.some((direction) => direction.wantsClose);
  }

  /** Does what host calls have asked for, outside of a callback for data. */
  apply(): void {
    if (this.wantsClose) {
      this.line?.close();
      return;
    }
    for (const direction of this.#directions) {
      if (!direction.wantsOn) continue;
      direction.wantsOn = false;
      direction.flow?.release();
    }
  }
}
