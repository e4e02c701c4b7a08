/** The descriptors this worker was sent, by tag. What the snapshot in force does not name is closed by whoever used it. */
import type { Fd } from "#core/brands.ts";
import type { TaggedDescriptor } from "#sys/descriptors.ts";
import { close } from "#sys/socket.ts";
import type { PrepareMessage } from "./protocol.ts";

export class Descriptors {
  readonly byTag = new Map<number, Fd>();
  /** What the snapshot in force names. */
  #named = new Set<number>();
  /** Named by scripts: none of a snapshot's business. */
  readonly #scripts = new Set<number>();
  /** Of those, the listening sockets. */
  readonly #listening = new Set<number>();

  keep(items: readonly TaggedDescriptor[]): void {
    for (const { tag, fd } of items) this.byTag.set(tag, fd);
  }

  /** A script's, until `giveUp`. */
  lend(tag: number): Fd | undefined {
    this.#scripts.add(tag);
    return this.byTag.get(tag);
  }

  /** The caller's own from now on. */
  take(tag: number): Fd | undefined {
    const fd = this.byTag.get(tag);
    this.#scripts.delete(tag);
    this.byTag.delete(tag);
    return fd;
  }

  /** A script has no use for it any more: closed. */
  giveUp(tag: number): void {
    const fd = this.byTag.get(tag);
    this.#scripts.delete(tag);
    this.byTag.delete(tag);
    if (fd !== undefined) close(fd);
  }

  /** After a commit: closes what it does not name, but for listening sockets, which their listener closes when it stops. */
  retain(message: PrepareMessage): void {
    this.#named = tagsOf(message);
    for (const listener of message.listeners) this.#listening.add(listener.fdTag);
    for (const [tag, fd] of this.byTag) {
      if (this.#named.has(tag) || this.#scripts.has(tag)) continue;
      this.byTag.delete(tag);
      if (!this.#listening.delete(tag)) close(fd);
    }
  }

  /** After an abort: closes what only the aborted message named. */
  drop(message: PrepareMessage): void {
    for (const tag of tagsOf(message)) {
      const fd = this.byTag.get(tag);
      if (fd === undefined || this.#named.has(tag)) continue;
      this.byTag.delete(tag);
      close(fd);
    }
  }
}

function tagsOf(message: PrepareMessage): Set<number> {
  const tags = new Set<number>(message.listeners.map((listener) => listener.fdTag));
  for (const map of message.maps) if (map.fdTag !== null) tags.add(map.fdTag);
  if (message.originalsFdTag !== null) tags.add(message.originalsFdTag);
  if (message.sockmapFdTags !== null) for (const tag of Object.values(message.sockmapFdTags)) tags.add(tag);
  if (message.tenantMemory !== undefined) tags.add(message.tenantMemory.fdTag);
  return tags;
}
