/**
 * Splicing as a feature of the manager: the program and its maps, whose sockets are put there by the workers that own them. Where
 * the kernel can't, workers move the bytes, and nothing else differs: that is said, and no reason to refuse a declaration.
 *
 * Once there they stay until the gateway ends: relays that are open may still be in them, whatever is declared by now.
 */
import os from "node:os";
import type { Fd } from "#core/brands.ts";
import { attachToSockets, type LegacyAttachment } from "#bpf/kernel/attach.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { sumPerCpu } from "#bpf/kernel/counters.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { isOlder } from "#bpf/kernel/since.ts";
import type { Declaration } from "#bpf/manager/declarations.ts";
import type { FeaturePlan, FeatureStatus, KernelFeature } from "#bpf/manager/feature.ts";

/** For workers, which look up, write and delete. */
export interface SpliceMaps {
  readonly sockets: Fd;
  readonly taken: Fd;
  readonly moved: Fd;
}

/** Seconds between two looks for what killed workers have left. */
const SWEEP_INTERVAL = 60;

/** From here on the kernel keeps right account of what was read from a socket whose program redirects. */
const KERNEL_MIN = "6.4";

/** Null, or why there is no splicing by a program here. */
export function whyNotSpliced(release = os.release()): string | null {
  return isOlder(release, KERNEL_MIN) ? `it wants Linux ${KERNEL_MIN}, and this is ${release}` : null;
}

export class SpliceFeature implements KernelFeature {
  readonly name = "splice";
  #collection: Collection | null = null;
  #attachment: LegacyAttachment | null = null;
  /** Made, and not in force yet. */
  #planned: Collection | null = null;
  #declared = false;
  #seconds = 0;

  plan({ kernel }: Declaration): FeaturePlan {
    const declared = kernel.splice === true;
    const wanted = declared && this.#collection === null && whyNotSpliced() === null;
    const fresh = wanted ? Collection.load(committedSpec("splice")) : null;
    this.#planned = fresh;
    return {
      attach: (undo) => {
        if (fresh === null) return;
        const attachment = attachToSockets(fresh.program("splice"), fresh.map("splice_sockets"));
        undo.push(() => {
          attachment.close();
          this.#attachment = null;
        });
        this.#attachment = attachment;
      },
      settle: () => {
        this.#collection = fresh ?? this.#collection;
        this.#planned = null;
        this.#declared = declared;
      },
      discard: () => {
        this.#planned = null;
        fresh?.close();
      },
    };
  }

  /** Of what is in force, or prepared; undefined where nothing is spliced. */
  maps(): SpliceMaps | undefined {
    const collection = this.#collection ?? this.#planned;
    if (collection === null) return undefined;
    const fd = (name: string): Fd => collection.map(`splice_${name}`).fd;
    return { sockets: fd("sockets"), taken: fd("taken"), moved: fd("moved") };
  }

  /** Entries of sockets that are gone: the kernel takes only the sockets out by itself. */
  maintain(): void {
    if (this.#collection === null || ++this.#seconds % SWEEP_INTERVAL !== 0) return;
    const sockets = this.#collection.map("splice_sockets");
    for (const name of ["splice_taken", "splice_moved"]) {
      const map = this.#collection.map(name);
      for (const [key] of map.entries()) if (sockets.lookup(key) === null) map.delete(key);
    }
  }

  status(): FeatureStatus {
    const collection = this.#collection;
    if (collection === null) {
      const facts = this.#declared ? [`splice: bytes go through the workers; ${whyNotSpliced()}`] : [];
      return { programs: [], counters: [], facts, neighbours: [] };
    }
    const [moved = 0, passed = 0, repeated = 0, backlogs = 0] = sumPerCpu(collection.map("splice_counters"));
    const joined = collection.map("splice_sockets").entries().length;
    const bytes = Object.entries({ moved, passed, repeated });
    return {
      programs: [
        {
          name: "splice",
          attachedTo: "sockets of relays",
          id: collection.program("splice").info().id,
          linkId: 0,
        },
      ],
      counters: [
        {
          name: "kernel_splice_bytes",
          type: "counter",
          help: "bytes of spliced streams that were moved in the kernel, passed to the process, or cut since they were there before",
          samples: bytes.map(([how, value]) => ({ labels: { how }, value })),
        },
        {
          name: "kernel_splice_backlogs",
          type: "counter",
          help: "times that a slow reader sent a spliced stream back to the process",
          samples: [{ labels: {}, value: backlogs }],
        },
      ],
      facts: [`splice: ${joined} sockets joined, ${moved} bytes moved, ${passed} passed to the process`],
      neighbours: [],
    };
  }

  close(): void {
    this.#attachment?.close();
    this.#attachment = null;
    this.#collection?.close();
    this.#collection = null;
  }
}
