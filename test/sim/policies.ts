/** What an upstream is told besides its endpoints, drawn from the seed: how it balances, bounds, checks and tries again. */
import type { Random } from "#io/fake/random.ts";
import type { BalancerSpec, UpstreamSpec } from "#snapshot/snapshot.ts";

export type Policies = Pick<UpstreamSpec, "balancer" | "healthCheck" | "limits" | "outlierDetection" | "retry">;

export const HEALTH_PATH = "/healthz";

const BALANCERS: readonly BalancerSpec[] = [
  { type: "round-robin", key: "" },
  { type: "round-robin", key: "", sticky: { cookie: "seat", ttlSeconds: 0 } },
  { type: "least-request", key: "" },
  { type: "random", key: "" },
  { type: "ring-hash", key: "path" },
  { type: "maglev", key: "header:x-tag" },
];

export function drawPolicies(random: Random): Policies {
  const policies: { -readonly [K in keyof Policies]: Policies[K] } = {
    balancer: BALANCERS[random.below(BALANCERS.length)] as BalancerSpec,
  };
  if (random.chance(0.2)) policies.limits = drawLimits(random);
  if (random.chance(0.3)) policies.retry = drawRetry(random);
  if (random.chance(0.2)) policies.healthCheck = drawHealthCheck(random);
  if (random.chance(0.2)) {
    const baseEjectionMs = 1 + random.below(5000);
    policies.outlierDetection = {
      consecutiveErrors: 1 + random.below(4),
      baseEjectionMs,
      maxEjectionMs: baseEjectionMs * 4,
      maxEjectionPercent: 10 + random.below(90),
    };
  }
  return policies;
}

/** An answer of the gateway's own may then be nobody's fault. */
export function mayRefuse({ limits, healthCheck }: Policies): boolean {
  return limits !== undefined || healthCheck !== undefined;
}

function drawLimits(random: Random): NonNullable<Policies["limits"]> {
  return {
    connectionsMax: random.chance(0.5) ? 1 + random.below(4) : 0,
    requestsMax: random.chance(0.5) ? 1 + random.below(4) : 0,
    queueMax: random.below(8),
    queueMs: 1 + random.below(5000),
  };
}

function drawRetry(random: Random): NonNullable<Policies["retry"]> {
  return {
    attempts: 1 + random.below(3),
    onConnectFailure: random.chance(0.5),
    onReset: random.chance(0.5),
    onTimeout: random.chance(0.5),
    onStatus: random.chance(0.5) ? [500] : [],
    budgetPercent: 100,
    bodyBytesMax: random.below(50_000),
    perTryMs: random.chance(0.5) ? 1000 + random.below(10_000) : 0,
    hedgeAfterMs: random.chance(0.5) ? 1 + random.below(30) : 0,
  };
}

function drawHealthCheck(random: Random): NonNullable<Policies["healthCheck"]> {
  return {
    type: random.chance(0.5) ? "http" : "tcp",
    path: HEALTH_PATH,
    host: "",
    statusMin: 200,
    statusMax: 299,
    intervalMs: 500 + random.below(5000),
    timeoutMs: 100 + random.below(2000),
    unhealthyThreshold: 1 + random.below(3),
    healthyThreshold: 1 + random.below(3),
  };
}
