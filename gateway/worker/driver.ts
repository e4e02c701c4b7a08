/** Which driver this worker runs on: io_uring where the kernel lets it, else epoll. `PENSTOCK_IO` names one. */
import type { Arena } from "#io/arena.ts";
import type { Driver } from "#io/driver.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import { createUringDriver } from "#io/uring/driver.ts";

/** Throws when the driver that `wanted` names can't run here; `auto` falls back. */
export function chooseDriver(arena: Arena, wanted: string): Driver {
  if (wanted === "epoll") return createEpollDriver({ arena });
  if (wanted === "io_uring") return createUringDriver({ arena });
  try {
    return createUringDriver({ arena });
  } catch {
    // EPERM (seccomp, sysctl kernel.io_uring_disabled), ENOSYS, EINVAL (a kernel before 6.1): `penstock doctor` says which.
    return createEpollDriver({ arena });
  }
}
