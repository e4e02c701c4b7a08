/**
 * W3C Trace Context, level 1: who a request belongs to, from service to service.
 *
 *     traceparent = version "-" trace-id "-" parent-id "-" trace-flags          all in lower-case hex
 *     00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 */
import { randomFillSync } from "node:crypto";

export interface TraceContext {
  readonly traceId: string;
  /** Of whoever sent the request. */
  readonly spanId: string;
  readonly sampled: boolean;
}

/** A later version may say more behind a further dash; `ff` is none (section 3.2.2). */
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

/** Null for a value that is none, and is then as if it had not been sent. */
export function readTraceParent(value: string): TraceContext | null {
  const [, version, traceId = "", spanId = "", flags = "", more] = PARENT.exec(value) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return null;
  if (/^0*$/.test(traceId) || /^0*$/.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

export function traceParent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** `bytes`: 16 for a trace, 8 for a span. Random, and never all zeros. */
export function newId(bytes: 8 | 16): string {
  const id = Buffer.allocUnsafe(bytes);
  do randomFillSync(id);
  while (id.every((byte) => byte === 0));
  return id.toString("hex");
}
