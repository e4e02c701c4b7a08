/**
 * Requests of rtnetlink and their answers: one message, a list (a dump), or an acknowledgement. Synchronous, since the
 * kernel answers at once. Refusals become PENSTOCK_BPF_NETLINK with the errno and what the kernel says of it.
 */
import { bpfError } from "#core/errors/bpf.ts";
import { errnoName, SystemCallError } from "#sys/libc.ts";
import { NetlinkSocket } from "#sys/netlink.ts";
import {
  message,
  messages,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  outcome,
  type Message,
} from "./message.ts";

/** A list that changes while it is given is asked for again, so often. */
const DUMPS_MAX = 10;

export class RouteSocket {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** Belongs to the network namespace that the thread is in now. Throws PENSTOCK_SYS_CALL. */
  constructor() {
    this.#socket = new NetlinkSocket();
  }

  /** Done when it answers. `what` completes the error: `add route 10.0.0.0/8`. */
  change(what: string, type: number, flags: number, parts: readonly Buffer[]): void {
    this.#send(type, NLM_F_ACK | flags, parts);
    for (;;) {
      for (const each of this.#receive(what)) {
        if (each.type !== NLMSG_ERROR) continue;
        refuse(what, each);
        return;
      }
    }
  }

  /** The one message that answers. */
  get(what: string, type: number, parts: readonly Buffer[]): Message {
    this.#send(type, 0, parts);
    for (;;) {
      for (const each of this.#receive(what)) {
        if (each.type === NLMSG_ERROR) refuse(what, each);
        else return each;
      }
    }
  }

  /** A whole list, that did not change while it was given. */
  list(what: string, type: number, parts: readonly Buffer[]): Message[] {
    for (let i = 0; i < DUMPS_MAX; i++) {
      const found = this.#dump(what, type, parts);
      if (found !== null) return found;
    }
    throw bpfError("PENSTOCK_BPF_NETLINK", { detail: `${what}: it changed ${DUMPS_MAX} times while it was read` });
  }

  /**
   * All that the kernel answers to one message, as it answers it: errors are the NLMSG_ERROR that ends the answer. Without
   * NLM_F_ACK a change that went well is answered by nothing.
   */
  exchange(what: string, type: number, flags: number, parts: readonly Buffer[]): Message[] {
    const dump = (flags & NLM_F_DUMP) !== 0 && isGet(type);
    this.#send(type, dump ? flags : flags | NLM_F_ACK, parts);
    const found: Message[] = [];
    for (;;) {
      for (const each of this.#receive(what)) {
        const last = each.type === NLMSG_ERROR || each.type === NLMSG_DONE;
        const asked = dump || (flags & NLM_F_ACK) !== 0 || !last || outcome(each).errno !== 0;
        if (asked) found.push(each);
        if (last) return found;
      }
    }
  }

  close(): void {
    this.#socket.close();
  }

  #dump(what: string, type: number, parts: readonly Buffer[]): Message[] | null {
    this.#send(type, NLM_F_DUMP, parts);
    const found: Message[] = [];
    let interrupted = false;
    for (;;) {
      for (const each of this.#receive(what)) {
        if ((each.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
        if (each.type === NLMSG_ERROR) refuse(what, each);
        // Carries an errno too, when the list could not be finished.
        if (each.type === NLMSG_DONE) {
          const errno = each.body.length < 4 ? 0 : -each.body.readInt32LE(0);
          if (errno > 0) throw refusal(what, errno, "");
          return interrupted ? null : found;
        }
        found.push(each);
      }
    }
  }

  #send(type: number, flags: number, parts: readonly Buffer[]): void {
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#socket.send(message(type, NLM_F_REQUEST | flags, this.#sequence, ...parts));
  }

  /** Answers to the last request only: what an earlier one left, that was given up, is passed over. */
  #receive(what: string): Message[] {
    const datagram = this.#socket.receive();
    if (datagram === null) throw bpfError("PENSTOCK_BPF_NETLINK", { detail: `${what}: the kernel did not answer` });
    return messages(datagram).filter((each) => each.sequence === this.#sequence);
  }
}

/** NEW, DEL, GET, SET follow one another for each kind. */
function isGet(type: number): boolean {
  return (type & 3) === 2;
}

function refuse(what: string, message: Message): void {
  const { errno, detail } = outcome(message);
  if (errno !== 0) throw refusal(what, errno, detail);
}

function refusal(what: string, errno: number, detail: string): Error {
  const cause = new SystemCallError("rtnetlink", errno);
  const words = detail === "" ? "" : ` (${detail})`;
  return bpfError("PENSTOCK_BPF_NETLINK", { detail: `${what}: ${errnoName(errno)}${words}`, cause });
}
