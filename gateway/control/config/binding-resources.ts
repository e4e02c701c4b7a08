/** Ports and prefixes of this host that belong to one listener, as resources. What must agree is `kernel-bindings.ts`' business. */
import * as v from "valibot";
import { fields } from "./fields.ts";
import { prefix } from "./prefix.ts";
import { choice, integer, list, name, text } from "./primitives.ts";

const PORT_MAX = 65_535;
const LEASE_MS_MIN = 500;
const LEASE_MS_MAX = 60_000;

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** `8000-8999`, both ends included; null when it is none. */
export function readRange(given: string): PortRange | null {
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(given) ?? [];
  const range = { first: Number(first), last: Number(last) };
  return range.first >= 1 && range.first <= range.last && range.last <= PORT_MAX ? range : null;
}

const rangeText = v.pipe(
  text,
  v.check(
    (value) => readRange(value) !== null,
    ({ input }) => `${JSON.stringify(input)} is no range of ports such as "8000-8999", from 1 to ${PORT_MAX}`,
  ),
);

const ports = v.pipe(
  list(v.union([integer(1, PORT_MAX), rangeText], `expected a port, or a range such as "8000-8999"`), 64),
  v.minLength(1, "name a port"),
);

const BindPlace = fields("a place", {
  /** Left out: every address of both families. */
  prefix: v.optional(prefix),
  ports,
});

export const KernelBinding = fields("a binding", {
  name,
  /** Of any protocol: what arrives is what it takes. */
  listener: name,
  match: v.pipe(list(BindPlace, 256), v.minLength(1, "name a place: a prefix, ports, or both")),
  /** Refused, as if nobody listened. */
  deny: v.optional(list(BindPlace, 256), []),
  /** Left to whoever listens there. */
  except: v.optional(list(BindPlace, 256), []),
  /** While the gateway does not serve: refuse, or leave it to whoever listens. */
  onFailure: v.optional(choice("onFailure", ["open", "closed"]), "open"),
  leaseMs: v.optional(integer(LEASE_MS_MIN, LEASE_MS_MAX), 3000),
});

/** One for each name in the program's tables. */
const BINDINGS_MAX = 256;
export const kernelBindings = v.optional(list(KernelBinding, BINDINGS_MAX), []);

export type BindingResource = v.InferOutput<typeof KernelBinding>;
export type Place = BindingResource["match"][number];
