/** rtnetlink for scripts: what `ip`, `tc` and `ip monitor` do, as calls. */
import { NetworkMonitor, type MonitorOptions, type NetworkEvent } from "#bpf/netlink/monitor.ts";
import { Rtnetlink } from "#bpf/netlink/rtnetlink.ts";

type Kinds = ConstructorParameters<typeof NetworkMonitor>[0];

/** In the network namespace of the calling thread. Close it. */
function open(): Rtnetlink {
  return new Rtnetlink();
}

export interface Following {
  close(): void;
}

/**
 * Calls `visit` for each change from now on, until it is closed, and keeps the process alive. A script has no descriptor of
 * its own in Node's loop, so the socket is looked at every `everyMs` (50 by default); the kernel keeps the changes meanwhile,
 * and an event of kind `overrun` says when there were too many.
 */
function follow(
  kinds: Kinds,
  visit: (event: NetworkEvent) => void,
  { everyMs = 50, ...options }: MonitorOptions & { readonly everyMs?: number } = {},
): Following {
  const monitor = new NetworkMonitor(kinds, options);
  const timer = setInterval(() => monitor.read(visit), everyMs);
  return {
    close: () => {
      clearInterval(timer);
      monitor.close();
    },
  };
}

export const netlink = { open, follow } as const;
