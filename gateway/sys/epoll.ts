/**
 * epoll(7): one instance and the array its events arrive in. The array is ours, outside V8's heap, written by the kernel
 * in `wait` and read in place.
 */
import type { Fd } from "#core/brands.ts";
import { EINTR } from "#core/errno.ts";
import { check, errno, libc } from "./libc.ts";
import { mapMemory, type Mapping } from "./memory.ts";
import { close } from "./socket.ts";

// include/uapi/linux/eventpoll.h
export const EPOLLIN = 0x001;
export const EPOLLPRI = 0x002;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 1 << 28;
export const EPOLLET = 1 << 31;
const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;

/** struct epoll_event { u32 events; u64 data } is packed on x86-64 and nowhere else. */
const PACKED = process.arch === "x64";
const EVENT_WORDS = PACKED ? 3 : 4;
const DATA_WORD = PACKED ? 1 : 2;

const INT_MAX = 0x7fff_ffff;

const epollCreate1 = libc.func("int epoll_create1(int flags)");
const epollCtl = libc.func("int epoll_ctl(int epfd, int op, int fd, void *event)");
const epollPwait = libc.func("int epoll_pwait(int epfd, uintptr_t events, int max, int timeout, uintptr_t mask)");

export class Epoll {
  readonly #fd: Fd;
  readonly #max: number;
  readonly #mapping: Mapping;
  readonly #address: number;
  readonly #words: Int32Array;
  readonly #request = new Int32Array(EVENT_WORDS);

  /** `eventsMax`: how many events one wait may answer. Throws. */
  constructor(eventsMax: number) {
    this.#max = eventsMax;
    this.#mapping = mapMemory(eventsMax * EVENT_WORDS * 4);
    this.#address = Number(this.#mapping.address);
    this.#words = new Int32Array(this.#mapping.bytes);
    this.#fd = check("epoll_create1", epollCreate1(EPOLL_CLOEXEC)) as Fd;
  }

  /** Registers `fd`; its events will carry the words `low` and `high`. Throws. */
  add(fd: number, events: number, low: number, high: number): void {
    this.#request[0] = events;
    this.#request[DATA_WORD] = low;
    this.#request[DATA_WORD + 1] = high;
    check("epoll_ctl ADD", epollCtl(this.#fd, EPOLL_CTL_ADD, fd, this.#request));
  }

  /** Throws, also when `fd` is not registered. Closing a descriptor's last copy does the same by itself. */
  remove(fd: number): void {
    check("epoll_ctl DEL", epollCtl(this.#fd, EPOLL_CTL_DEL, fd, this.#request));
  }

  /** Waits up to `waitMs` (−1: without bound; fractions are rounded up) and answers how many events stand ready. Throws. */
  wait(waitMs: number): number {
    const timeout = waitMs < 0 ? -1 : Math.min(Math.ceil(waitMs), INT_MAX);
    const count = epollPwait(this.#fd, this.#address, this.#max, timeout, 0) as number;
    if (count < 0 && errno() === EINTR) return 0;
    return check("epoll_pwait", count);
  }

  /** What is ready, of event number `i` of the last wait. */
  eventsAt(i: number): number {
    return this.#words[i * EVENT_WORDS] as number;
  }

  lowAt(i: number): number {
    return this.#words[i * EVENT_WORDS + DATA_WORD] as number;
  }

  highAt(i: number): number {
    return this.#words[i * EVENT_WORDS + DATA_WORD + 1] as number;
  }

  dispose(): void {
    close(this.#fd);
    this.#mapping.unmap();
  }
}
