/** From a snapshot's words to a balancer. */
import type { BalancerSpec } from "#snapshot/snapshot.ts";
import type { Balancer, Weighted } from "./balancer.ts";
import { LeastRequest } from "./least-request.ts";
import { Maglev } from "./maglev.ts";
import { Random } from "./random.ts";
import { RingHash } from "./ring-hash.ts";
import { RoundRobin } from "./round-robin.ts";

/** `random`: from 0 up to 1; a simulation has its own. */
export function createBalancer(
  type: BalancerSpec["type"],
  all: readonly Weighted[],
  random: () => number = Math.random,
): Balancer {
  switch (type) {
    case "round-robin":
      return new RoundRobin(all);
    case "least-request":
      return new LeastRequest(all, random);
    case "random":
      return new Random(all, random);
    case "ring-hash":
      return new RingHash(all);
    case "maglev":
      return new Maglev(all);
  }
}
