/** Ports and prefixes of this host that belong to one listener: what must agree, and how the snapshot says them. */
import { defined } from "#core/assert.ts";
import { readPrefix } from "#core/address.ts";
import type { BindingSpec, BindPlaceSpec } from "#snapshot/kernel.ts";
import { readRange, type BindingResource, type Place, type PortRange } from "./binding-resources.ts";
import type { Draft } from "./draft.ts";
import type { Report } from "./references.ts";

/** Of several listeners one takes a place; and a Unix socket takes none. */
export function checkBindings(draft: Draft, report: Report): void {
  const taken: { readonly key: string; readonly range: PortRange; readonly pointer: string }[] = [];
  for (const { pointer, value } of draft.bindings) {
    const listener = draft.listeners.find((one) => one.value.name === value.listener)?.value;
    if (listener?.address.startsWith("unix:") === true) {
      const detail = `listener "${value.listener}" is a Unix socket, and what arrives here has ports`;
      report(`${pointer}/listener`, "PENSTOCK_CONFIG_REFERENCE", detail);
    }
    const protocol = listener?.protocol === "udp" ? "udp" : "tcp";
    for (const [index, place] of value.match.entries()) {
      const key = `${protocol} ${prefixKey(place)}`;
      for (const [at, port] of place.ports.entries()) {
        const range = rangeOf(port);
        // What is no range was reported as such.
        if (range === null) continue;
        const where = `${pointer}/match/${index}/ports/${at}`;
        const other = taken.find(
          (one) => one.key === key && one.range.first <= range.last && range.first <= one.range.last,
        );
        if (other !== undefined)
          report(
            where,
            "PENSTOCK_CONFIG_DUPLICATE",
            `these ports of the same prefix are bound at ${other.pointer} already`,
          );
        taken.push({ key, range, pointer: where });
      }
    }
  }
}

function prefixKey({ prefix: given }: Place): string {
  const read = given === undefined ? null : readPrefix(given);
  return read === null || typeof read === "string" ? "all" : `${Buffer.from(read.ip).toString("hex")}/${read.bits}`;
}

function rangeOf(port: Place["ports"][number]): PortRange | null {
  return typeof port === "number" ? { first: port, last: port } : readRange(port);
}

/** Nothing where there is none: the snapshot of a declaration without them stays what it was. */
export function compileBindings(
  bindings: readonly BindingResource[],
  listenerAt: (name: string) => { readonly index: number; readonly protocol: string },
): { readonly bindings?: readonly BindingSpec[] } {
  if (bindings.length === 0) return {};
  return {
    bindings: bindings.map(({ name, listener, match, deny, except, onFailure, leaseMs }) => {
      const { index, protocol } = listenerAt(listener);
      return {
        name,
        listener: index,
        protocol: protocol === "udp" ? "udp" : "tcp",
        match: match.map(compilePlace),
        deny: deny.map(compilePlace),
        except: except.map(compilePlace),
        onFailure,
        leaseMs,
      };
    }),
  };
}

function compilePlace(place: Place): BindPlaceSpec {
  return { prefix: place.prefix ?? null, ports: place.ports.map((port) => defined(rangeOf(port), "a checked range")) };
}
