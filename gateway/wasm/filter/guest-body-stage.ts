/**
 * The body of one exchange on its way through a guest. What comes is put into the window; the guest looks at it, changes it,
 * and lets it go or waits for more. Unchanged bytes pass as they came, uncopied.
 *
 *     data ─▶ [window] ─ hook ─▶ CONTINUE  the window goes on
 *              ▲                PAUSE     it stays, and what comes next is added, up to a bound
 *              │                REPLY     the exchange is answered, or cut off
 *           [late]              …         the hook itself waits for something: the source is stopped, what comes nevertheless is late
 *
 * A stage that holds decides for the head too: it was answered PAUSE by the head hook, and the exchange goes on when a hook of the body first
 * answers something else. What goes on before the head has left waits here.
 */
import { PassingStage } from "#pipeline/body.ts";
import { CONTINUE, type Exchange, REPLY } from "#pipeline/filter.ts";
import { BODY_WINDOW_BYTES_MAX } from "#sdk/types/abi.ts";
import { ByteWindow } from "#wasm/guest/byte-window.ts";
import {
  ACTION_PAUSE,
  ACTION_REPLY,
  GUEST_REQUEST_BODY,
  GUEST_REQUEST_END,
  GUEST_RESPONSE_BODY,
  GUEST_RESPONSE_END,
} from "#wasm/guest/hooks.ts";
import { PHASE_REQUEST_BODY, PHASE_REQUEST_END, PHASE_RESPONSE_BODY, PHASE_RESPONSE_END } from "#wasm/guest/phases.ts";
import { FAULTED, type HookCaller, type HookRun, WAITING, type WaitingHook } from "./hook-run.ts";

const PLAIN_TEXT = [["content-type", "text/plain; charset=utf-8"]] as const;

/** Of what waits for its head to leave: from here on the client does. One batch of receives may still come. */
const WAITING_BYTES_MAX = 256 * 1024;

/** The place of bytes that are the stage's own, where others have a buffer. */
const NO_BUFFER = -1;

/** How far a body has come: its end is reached by asking for the last bytes, then for the end. */
const COMING = 0;
const LAST_ASKED = 1;
const END_ASKED = 2;
const OVER = 3;

export class GuestBodyStage extends PassingStage implements HookCaller {
  /** Until the head has left: then what follows may say that it has enough. */
  override holds: boolean;
  readonly #guest: HookRun;
  readonly #exchange: Exchange;
  readonly #position: number;
  readonly #phase: number;
  readonly #endPhase: number;
  /** The guest has a hook for the bytes; for the end. */
  readonly #seesBytes: boolean;
  readonly #seesEnd: boolean;
  readonly #window = new ByteWindow();
  /** The head's fate is still the hooks' to decide. */
  #undecided: boolean;
  /** Nothing can leave yet: the head has not. */
  #closed: boolean;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** A hook that waits: the guest is not asked again before it has come back. */
  #hook: WaitingHook | null = null;
  /** What has come since. */
  #late: Uint8Array[] = [];
  #step = COMING;
  /** Nothing more comes. */
  #ended = false;
  /** Nothing more is asked of the guest: it has failed, and the route lets the rest pass, or it has replied. */
  #over = false;
  #discards = false;

  constructor(guest: HookRun, exchange: Exchange, position: number, isRequest: boolean, holds: boolean) {
    super();
    this.holds = holds;
    this.#guest = guest;
    this.#exchange = exchange;
    this.#position = position;
    this.#phase = isRequest ? PHASE_REQUEST_BODY : PHASE_RESPONSE_BODY;
    this.#endPhase = isRequest ? PHASE_REQUEST_END : PHASE_RESPONSE_END;
    const { present } = guest;
    this.#seesBytes = (present & (isRequest ? GUEST_REQUEST_BODY : GUEST_RESPONSE_BODY)) !== 0;
    this.#seesEnd = (present & (isRequest ? GUEST_REQUEST_END : GUEST_RESPONSE_END)) !== 0;
    this.#undecided = holds;
    this.#window.headWaits = holds;
    this.#closed = holds;
  }

  override data(buffer: number, start: number, end: number): void {
    if (this.#discards) return;
    if (this.#hook === null) this.#take(buffer, this.link.memory, start, end);
    else this.#late.push(this.link.memory.slice(start, end));
  }

  override end(): void {
    if (this.#discards) return;
    this.#ended = true;
    if (this.#hook === null) this.#finish();
    // Nothing is left that would have to be held up.
    else this.link.resume();
  }

  /** The hook that waited has come back. */
  hookEnded(action: number): void {
    this.#hook = null;
    if (this.#discards) return;
    if (this.#step === COMING) this.#seen(NO_BUFFER, action);
    else if (this.#step === LAST_ASKED) this.#lastSeen(action);
    else if (action === FAULTED) this.#faulted();
    this.#goOn();
  }

  /** The head has left: so can what waited for it. */
  override drained(): void {
    if (!this.#closed || this.#undecided) return;
    this.#closed = false;
    this.holds = false;
    for (const bytes of this.#waiting) this.link.write(bytes);
    this.#waiting = [];
    if (this.#step === OVER) this.link.end();
    else if (this.#waitingBytes > WAITING_BYTES_MAX && this.#hook === null) this.link.resume();
  }

  override dispose(): void {
    this.#discards = true;
    this.#waiting = [];
    this.#late = [];
    this.#hook?.abandon("its exchange has ended, or the body is not wanted any more");
    this.#hook = null;
    this.#window.clear();
  }

  /** Bytes in their turn. */
  #take(buffer: number, memory: Uint8Array, start: number, end: number): void {
    if (this.#over || !this.#seesBytes) {
      this.#pass(buffer, memory, start, end);
      return;
    }
    const window = this.#window;
    if (!window.add(memory, start, end)) {
      const status = this.#phase === PHASE_REQUEST_BODY ? 413 : 502;
      this.#fail(status, "body-too-long", `a plugin looks at ${BODY_WINDOW_BYTES_MAX} bytes of a body at most`);
      return;
    }
    const action = this.#ask(this.#phase, 0);
    if (action !== WAITING) {
      this.#seen(buffer, action);
      return;
    }
    window.own();
    this.link.pause();
  }

  /** The guest has looked at the window. */
  #seen(buffer: number, action: number): void {
    const window = this.#window;
    if (this.#judge(action)) {
      window.own();
      return;
    }
    if (this.#discards) return;
    if (window.owned || buffer === NO_BUFFER) this.#write();
    else this.#pass(buffer, window.memory, window.start, window.end);
    window.clear();
  }

  #lastSeen(action: number): void {
    this.#judge(action);
    // What it still waits with: nothing more comes.
    if (!this.#discards) this.#decide(CONTINUE);
  }

  /** After a hook that waited: what is late has its turn, until another waits. */
  #goOn(): void {
    while (this.#hook === null && !this.#discards) {
      const bytes = this.#late.shift();
      if (bytes === undefined) break;
      this.#take(NO_BUFFER, bytes, 0, bytes.length);
    }
    if (this.#hook !== null || this.#discards) return;
    if (this.#ended) this.#finish();
    else if (!this.#closed || this.#waitingBytes <= WAITING_BYTES_MAX) this.link.resume();
  }

  /** All bytes have had their turn, and nothing more comes. Again, from where it was, when a hook has waited. */
  #finish(): void {
    if (this.#step === COMING) {
      this.#step = LAST_ASKED;
      if (this.#seesBytes && !this.#over) {
        const action = this.#ask(this.#phase, 1);
        if (action === WAITING) {
          this.#window.own();
          return;
        }
        this.#lastSeen(action);
      }
    }
    if (this.#discards) return;
    if (this.#step === LAST_ASKED) {
      this.#step = END_ASKED;
      if (this.#window.size > 0) this.#write();
      this.#window.clear();
      if (this.#seesEnd && !this.#over) {
        const action = this.#ask(this.#endPhase, 1);
        if (action === WAITING) return;
        if (action === FAULTED) this.#faulted();
      }
    }
    if (this.#discards || this.#step === OVER) return;
    this.#step = OVER;
    if (!this.#closed) this.link.end();
  }

  #ask(phase: number, last: number): number {
    const isEnd = phase === this.#endPhase;
    const window = isEnd ? null : this.#window;
    const trailing = isEnd ? this.link : null;
    const action = this.#guest.run(this.#exchange, this.#position, phase, last, 0, window, trailing, null);
    if (action === WAITING) this.#hook = this.#guest.waiting;
    if (action === WAITING && this.#hook !== null) this.#hook.caller = this;
    return action;
  }

  /** True: the guest wants to see more first. */
  #judge(action: number): boolean {
    if (action === ACTION_PAUSE) return true;
    if (action === FAULTED) this.#faulted();
    else if (action === ACTION_REPLY) this.#reply();
    else this.#decide(CONTINUE);
    return false;
  }

  #decide(verdict: typeof CONTINUE | typeof REPLY): void {
    if (!this.#undecided) return;
    this.#undecided = false;
    this.#window.headWaits = false;
    this.#exchange.resume(verdict);
  }

  #faulted(): void {
    this.#over = true;
    if (this.#guest.deniesFaults) this.#fail(503, "plugin-failed", "the route's plugin failed");
    else this.#decide(CONTINUE);
  }

  #reply(): void {
    const { reply } = this.#guest;
    this.#over = true;
    if (reply === null) {
      this.#faulted();
    } else if (this.#undecided) {
      this.#discards = true;
      this.#exchange.respond(reply.status, reply.headers, reply.body);
      this.#decide(REPLY);
    } else {
      this.#fail(reply.status, "refused-by-plugin", Buffer.from(reply.body).toString());
    }
  }

  #fail(status: number, code: string, detail: string): void {
    this.#over = true;
    this.#discards = true;
    if (this.#undecided && this.#phase === PHASE_RESPONSE_BODY) {
      // Nothing has been sent: there is still something to say to the client.
      this.#exchange.respond(status, PLAIN_TEXT, Buffer.from(`${detail}\n`));
      this.#decide(REPLY);
      return;
    }
    this.#undecided = false;
    this.link.fail(status, code, detail);
  }

  /** A region that the guest has not changed; of no buffer, bytes that are nobody else's. */
  #pass(buffer: number, memory: Uint8Array, start: number, end: number): void {
    if (this.#closed) this.#wait(memory.slice(start, end));
    else if (buffer === NO_BUFFER) this.link.write(memory.subarray(start, end));
    else this.link.data(buffer, start, end);
  }

  #write(): void {
    const { memory, start, end } = this.#window;
    if (this.#closed) this.#wait(memory.slice(start, end));
    else this.link.write(memory.subarray(start, end));
  }

  #wait(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.link.pause();
  }
}
