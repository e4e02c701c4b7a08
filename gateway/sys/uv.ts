/** libuv's loop of this thread, seen from outside: the symbols are exported by the Node binary. Source: uv.h. */
import { koffi } from "./libc.ts";

const self = koffi.load(null);
const defaultLoop = self.func("void *uv_default_loop()");
const backendFd = self.func("int uv_backend_fd(void *loop)");

/** An epoll descriptor that is readable whenever libuv has something to do, but for timers. */
export function uvBackendFd(): number {
  return backendFd(defaultLoop()) as number;
}
