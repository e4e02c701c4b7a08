/** What upstreams and their endpoints look like at the moment, as counters with labels; bounded, since metrics must be. */
import type { Member } from "./member.ts";
import type { Upstream } from "./upstream.ts";

/** Endpoints of one worker that are read: the rest is left out, and counted as left out. */
const ENDPOINTS_MAX = 512;

export function upstreamReadings(upstreams: readonly Upstream[]): Record<string, number> {
  const readings: Record<string, number> = {};
  let left = ENDPOINTS_MAX;
  let skipped = 0;
  for (const upstream of upstreams) {
    const label = `upstream="${upstream.name}"`;
    if (upstream.queue !== null) readings[`upstream_queue_waiting{${label}}`] = upstream.queue.length;
    if (upstream.retry !== null) readings[`upstream_retries_over_budget{${label}}`] = upstream.retry.refused;
    if (upstream.spec.outlierDetection !== undefined) readings[`upstream_ejections{${label}}`] = upstream.ejections;
    for (const member of upstream.members) {
      if (left-- > 0) readMember(readings, `${label},endpoint="${member.address}"`, member);
      else skipped++;
    }
  }
  if (skipped > 0) readings["endpoints_not_read_entries"] = skipped;
  return readings;
}

function readMember(readings: Record<string, number>, labels: string, member: Member): void {
  readings[`endpoint_usable{${labels}}`] = member.usable ? 1 : 0;
  readings[`endpoint_healthy{${labels}}`] = member.healthy ? 1 : 0;
  readings[`endpoint_ejected{${labels}}`] = member.ejected ? 1 : 0;
  readings[`endpoint_requests_active{${labels}}`] = member.endpoint.active;
  readings[`endpoint_connections_idle{${labels}}`] = member.endpoint.idleCount;
  readings[`endpoint_requests{${labels}}`] = member.requests;
  readings[`endpoint_errors{${labels}}`] = member.errors;
}
