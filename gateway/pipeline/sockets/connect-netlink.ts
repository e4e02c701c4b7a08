/**
 * `connect` of netlink: each message in is a request of NETLINK_ROUTE, `{ type, flags }` its head, what follows the header its
 * body; the kernel's answers come out the same way, up to the NLMSG_ERROR or NLMSG_DONE that is the last. The supervisor speaks to
 * the kernel: a worker has no such socket.
 */
import { TOO_LARGE } from "#pipeline/events/ending.ts";
import { Collector } from "#pipeline/filters/collector.ts";
import { HoldingFilter } from "#pipeline/filters/holding-filter.ts";
import { askSupervisor } from "#pipeline/host.ts";
import type { NetlinkMessage } from "#pipeline/network.ts";

/** Of one request: a page of attributes is far more than any has. */
const BODY_BYTES_MAX = 65_536;

export class ConnectNetlink<C extends object> extends HoldingFilter<C> {
  readonly #body = new Collector(BODY_BYTES_MAX);
  #head: Partial<NetlinkMessage> | null = null;

  override takeMessageStart(head: object): void {
    this.#head = head;
  }

  override takeData(_buffer: number, start: number, end: number): void {
    if (!this.#body.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override takeMessageEnd(): void {
    const { type = -1, flags = 0 } = this.#head ?? {};
    this.#head = null;
    const body = this.#body.take().toBytes();
    const asked = askSupervisor("netlink", { op: "netlink", type, flags, body });
    this.waitFor(asked as Promise<readonly NetlinkMessage[]>, (answers) => {
      for (const answer of answers) {
        this.output.messageStart({ type: answer.type, flags: answer.flags });
        if (answer.body.length > 0 && !this.write(answer.body)) return;
        this.output.messageEnd(null);
      }
    });
  }
}
