/**
 * The two rings shared with the kernel, and nothing above them: entries are written with `prepare`, handed over by
 * `enter`, completions are read in place by the driver.
 *
 *     submission   tail written here, head by the kernel       64-byte entries, one Int32Array
 *     completion   head written here, tail by the kernel       16-byte entries: user_data lo, hi, result, flags
 *
 * SINGLE_ISSUER, DEFER_TASKRUN and COOP_TASKRUN belong together: the kernel does its completion work inside `enter`, on
 * this thread, and completions appear only then. So plain loads and stores suffice between two calls.
 *
 * The ring is created disabled, restricted to the operations the data plane uses, then enabled: seccomp does not see what
 * a ring does, this list does.
 */
import { mapMemory, MAP_POPULATE, MAP_SHARED, type Mapping } from "#sys/memory.ts";
import { EAGAIN, EBUSY, EINTR } from "#core/errno.ts";
import {
  ENTER_EXT_ARG,
  ENTER_GETEVENTS,
  REGISTER_ENABLE_RINGS,
  REGISTER_RESTRICTIONS,
  uringEnter,
  uringRegister,
  uringSetup,
} from "#sys/uring.ts";

export const OP_POLL_ADD = 6;
export const OP_SENDMSG = 9;
export const OP_ACCEPT = 13;
export const OP_ASYNC_CANCEL = 14;
export const OP_CONNECT = 16;
export const OP_CLOSE = 19;
export const OP_SEND = 26;
export const OP_RECV = 27;

const ALLOWED_OPERATIONS = [
  OP_POLL_ADD,
  OP_SENDMSG,
  OP_ACCEPT,
  OP_ASYNC_CANCEL,
  OP_CONNECT,
  OP_CLOSE,
  OP_SEND,
  OP_RECV,
];

const SETUP_CQSIZE = 1 << 3;
const SETUP_CLAMP = 1 << 4;
const SETUP_R_DISABLED = 1 << 6;
const SETUP_SUBMIT_ALL = 1 << 7;
const SETUP_COOP_TASKRUN = 1 << 8;
const SETUP_SINGLE_ISSUER = 1 << 12;
const SETUP_DEFER_TASKRUN = 1 << 13;
const SETUP_FLAGS =
  SETUP_CQSIZE |
  SETUP_CLAMP |
  SETUP_R_DISABLED |
  SETUP_SUBMIT_ALL |
  SETUP_COOP_TASKRUN |
  SETUP_SINGLE_ISSUER |
  SETUP_DEFER_TASKRUN;

const OFFSET_SQES = 0x1000_0000;
/** Words (Int32) of struct io_uring_params: sq_off begins at byte 40, cq_off at byte 80. */
const PARAMS_BYTES = 120;
const SQ_OFFSETS = 10;
const CQ_OFFSETS = 20;
const SQE_BYTES = 64;
const SQE_WORDS = 16;
const CQE_BYTES = 16;

/** Interrupted that often without an entry taken, something is wrong that waiting does not mend. */
const ROOM_TRIES_MAX = 1000;

/** ETIME: include/uapi/asm-generic/errno.h. */
const ETIME = 62;

export class Ring {
  readonly fd: number;
  readonly entries: number;
  /** Submission entries as words; `prepare` answers an index into it. */
  readonly sqe: Int32Array;
  readonly sqe8: Uint8Array;
  readonly sqe16: Uint16Array;
  /** The ring area as words: completions are read from it at `cqes + (head & cqMask) * 4`. */
  readonly words: Int32Array;
  readonly cqes: number;
  readonly cqMask: number;
  readonly #cqHeadAt: number;
  readonly #cqTailAt: number;
  readonly #sqTailAt: number;
  readonly #sqMask: number;
  /** Completions before this one have been read, and may be given back early. Kept by the driver while it dispatches. */
  passed = 0;
  #sqTail = 0;
  #queued = 0;
  /** struct io_uring_getevents_arg (24 bytes), then struct __kernel_timespec (16). */
  readonly #wait: Int32Array;
  readonly #waitAddress: number;
  readonly #timespecLow: number;
  readonly #timespecHigh: number;
  readonly #mappings: Mapping[];

  constructor(submissionEntries: number, completionEntries: number) {
    const params = new Uint32Array(PARAMS_BYTES / 4);
    params[1] = completionEntries;
    params[2] = SETUP_FLAGS;
    this.fd = uringSetup(submissionEntries, new Uint8Array(params.buffer));
    const param = (index: number): number => params[index] as number;
    this.entries = param(0);
    const ringBytes = Math.max(param(SQ_OFFSETS + 6) + this.entries * 4, param(CQ_OFFSETS + 5) + param(1) * CQE_BYTES);
    const rings = mapMemory(ringBytes, this.fd, 0, MAP_SHARED | MAP_POPULATE);
    const entriesMap = mapMemory(this.entries * SQE_BYTES, this.fd, OFFSET_SQES, MAP_SHARED | MAP_POPULATE);
    const waitMap = mapMemory(4096);
    this.#mappings = [rings, entriesMap, waitMap];

    this.words = new Int32Array(rings.bytes, 0, ringBytes >> 2);
    this.#sqTailAt = param(SQ_OFFSETS + 1) >> 2;
    this.#sqMask = this.words[param(SQ_OFFSETS + 2) >> 2] as number;
    this.#cqHeadAt = param(CQ_OFFSETS) >> 2;
    this.#cqTailAt = param(CQ_OFFSETS + 1) >> 2;
    this.cqMask = this.words[param(CQ_OFFSETS + 2) >> 2] as number;
    this.cqes = param(CQ_OFFSETS + 5) >> 2;
    const arrayAt = param(SQ_OFFSETS + 6) >> 2;
    for (let i = 0; i < this.entries; i++) this.words[arrayAt + i] = i;

    this.sqe = new Int32Array(entriesMap.bytes);
    this.sqe8 = new Uint8Array(entriesMap.bytes);
    this.sqe16 = new Uint16Array(entriesMap.bytes);

    this.#wait = new Int32Array(waitMap.bytes);
    this.#waitAddress = Number(waitMap.address);
    const timespec = waitMap.address + 24n;
    this.#timespecLow = Number(timespec & 0xffff_ffffn) | 0;
    this.#timespecHigh = Number(timespec >> 32n) | 0;
  }

  /** Restricts the ring to the data plane's operations and starts it. Register everything else before. */
  enable(): void {
    const restrictions = new Uint8Array((ALLOWED_OPERATIONS.length + 1) * 16);
    const view = new DataView(restrictions.buffer);
    const RESTRICTION_SQE_OP = 1;
    const RESTRICTION_SQE_FLAGS_ALLOWED = 2;
    ALLOWED_OPERATIONS.forEach((operation, i) => {
      view.setUint16(i * 16, RESTRICTION_SQE_OP, true);
      view.setUint8(i * 16 + 2, operation);
    });
    view.setUint16(ALLOWED_OPERATIONS.length * 16, RESTRICTION_SQE_FLAGS_ALLOWED, true);
    view.setUint8(ALLOWED_OPERATIONS.length * 16 + 2, SQE_BUFFER_SELECT);
    uringRegister(this.fd, REGISTER_RESTRICTIONS, restrictions, ALLOWED_OPERATIONS.length + 1);
    uringRegister(this.fd, REGISTER_ENABLE_RINGS, null, 0);
  }

  /**
   * A zeroed submission entry: the index of its first word in `sqe`. `user` is user_data, 32 bits low and high. The entry
   * counts as submitted at the next `enter`; what it points to must stay until then.
   */
  prepare(operation: number, fd: number, userLow: number, userHigh: number): number {
    if (this.#queued === this.entries) this.#makeRoom();
    const at = (this.#sqTail & this.#sqMask) * SQE_WORDS;
    const sqe = this.sqe;
    sqe[at] = operation;
    sqe[at + 1] = fd;
    sqe[at + 2] = 0;
    sqe[at + 3] = 0;
    sqe[at + 4] = 0;
    sqe[at + 5] = 0;
    sqe[at + 6] = 0;
    sqe[at + 7] = 0;
    sqe[at + 8] = userLow;
    sqe[at + 9] = userHigh;
    sqe[at + 10] = 0;
    sqe[at + 11] = 0;
    sqe[at + 12] = 0;
    sqe[at + 13] = 0;
    this.#sqTail = (this.#sqTail + 1) | 0;
    this.#queued++;
    return at;
  }

  /** Hands over what is queued; waits up to `waitMs` for one completion (0: not at all; −1: without bound). */
  enter(waitMs: number): void {
    Atomics.store(this.words, this.#sqTailAt, this.#sqTail);
    const wait = this.#wait;
    if (waitMs > 0) {
      const seconds = Math.floor(waitMs / 1000);
      wait[6] = seconds;
      wait[8] = Math.floor((waitMs - seconds * 1000) * 1e6);
      wait[4] = this.#timespecLow;
      wait[5] = this.#timespecHigh;
    } else {
      wait[4] = 0;
      wait[5] = 0;
    }
    const queued = this.#queued;
    this.#queued = 0;
    const taken = uringEnter(
      this.fd,
      queued,
      waitMs === 0 ? 0 : 1,
      ENTER_GETEVENTS | ENTER_EXT_ARG,
      this.#waitAddress,
      24,
    );
    if (taken < 0 && !isPassing(-taken)) throw new Error(`io_uring_enter: errno ${-taken}`);
    // Entries not taken (the call was interrupted, or the completion ring was full) go over with the next call.
    if (taken < queued) this.#queued = taken < 0 ? queued : queued - taken;
  }

  /**
   * The queue is full in the middle of a turn. A signal may interrupt the call; and while completions wait for room in
   * their ring the kernel takes nothing (EBUSY): those that were dispatched already make that room.
   */
  #makeRoom(): void {
    Atomics.store(this.words, this.#sqTailAt, this.#sqTail);
    for (let tries = 0; tries < ROOM_TRIES_MAX; tries++) {
      const taken = uringEnter(this.fd, this.#queued, 0, 0, 0, 0);
      if (taken > 0) {
        this.#queued -= taken;
        return;
      }
      if (taken < 0 && !isPassing(-taken)) throw new Error(`io_uring_enter: errno ${-taken}`);
      this.consume(this.passed);
    }
    throw new Error(`io_uring_enter: takes none of ${this.#queued} entries`);
  }

  /** First completion not yet read. */
  get completionHead(): number {
    return this.words[this.#cqHeadAt] as number;
  }

  get completionTail(): number {
    return Atomics.load(this.words, this.#cqTailAt);
  }

  /** Gives the completions before `head` back to the kernel. */
  consume(head: number): void {
    Atomics.store(this.words, this.#cqHeadAt, head);
  }

  /** Unmaps; the caller closes `fd`. */
  dispose(): void {
    for (const mapping of this.#mappings) mapping.unmap();
  }
}

/** IOSQE_BUFFER_SELECT: the kernel takes a buffer from the provided ring. */
export const SQE_BUFFER_SELECT = 1 << 5;

function isPassing(error: number): boolean {
  return error === EINTR || error === EAGAIN || error === EBUSY || error === ETIME;
}
