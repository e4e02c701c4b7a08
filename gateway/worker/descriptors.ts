/** The descriptors this worker was sent, by tag. What the snapshot in force does not name is closed by whoever used it. */
import type { Fd } from "#core/brands.ts";
import type { TaggedDescriptor } from "#sys/descriptors.ts";
import { close } from "#sys/socket.ts";
import type { PrepareMessage } from "./protocol.ts";

export class Descriptors {
  readonly byTag = new Map<number, Fd>();
  /** Tags of listening sockets: their listener closes them when it stops. */
  readonly #listening = new Set<number>();

  keep(items: readonly TaggedDescriptor[]): void {
    for (const { tag, fd } of items) this.byTag.set(tag, fd);
  }

  /** After a commit: forgets what it does not name, and closes it unless a listener does. */
  retain(message: PrepareMessage): void {
    const named = new Set<number>();
    for (const listener of message.listeners) {
      named.add(listener.fdTag);
      this.#listening.add(listener.fdTag);
    }
    for (const map of message.maps) if (map.fdTag !== null) named.add(map.fdTag);
    if (message.originalsFdTag !== null) named.add(message.originalsFdTag);
    for (const [tag, fd] of this.byTag) {
      if (named.has(tag)) continue;
      this.byTag.delete(tag);
      if (!this.#listening.delete(tag)) close(fd);
    }
  }
}
