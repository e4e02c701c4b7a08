/** Attaching programs where the stack begins, for packets that come in over a device. */
import { Link } from "./link.ts";
import type { Program } from "./program.ts";

export interface TcAttachment {
  readonly kind: "tcx";
  readonly device: string;
  /** No packet meets neither. */
  update(program: Program, old: Program): void;
  /** 0 where there is no link. */
  linkId(): number;
  close(): void;
}

/**
 * Behind what is there already; programs of others stay and run. `index`: of an interface in the network namespace that
 * this thread is in. Throws PENSTOCK_BPF_ATTACH.
 */
export function attachIngress(program: Program, device: string, index: number): TcAttachment {
  const link = Link.toInterface(program, index, 0, `${device} tcx ingress`);
  return {
    kind: "tcx",
    device,
    update: (next, old) => link.update(next, old),
    linkId: () => link.info().id,
    close: () => link.close(),
  };
}
