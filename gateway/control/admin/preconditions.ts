/** ETags and conditional requests (RFC 9110, 8.8.3 and 13.1). Tags are strong: equal tags, equal content. */
import { controlError } from "#core/errors/control.ts";
import { digestOf } from "#control/canonical.ts";

export function etagOf(content: unknown): string {
  return `"${digestOf(content).slice(0, 32)}"`;
}

function listed(field: string, etag: string): boolean {
  return field.split(",").some((one) => one.trim() === etag || one.trim() === "*");
}

/**
 * A change must name what it changes. `etag` is what is there; undefined: nothing. Throws 428 without `If-Match` and
 * `If-None-Match`, 412 when they don't hold.
 */
export function requireMatch(request: Request, etag: string | undefined): void {
  const match = request.headers.get("if-match");
  const noneMatch = request.headers.get("if-none-match");
  if (match === null && noneMatch === null) {
    const detail =
      etag === undefined ? "it does not exist: send `If-None-Match: *`" : "it exists: send `If-Match` with its ETag";
    throw controlError("PENSTOCK_CONTROL_PRECONDITION_REQUIRED", { detail });
  }
  checkMatch(request, etag);
}

/** Holds those preconditions that were sent. */
export function checkMatch(request: Request, etag: string | undefined): void {
  const match = request.headers.get("if-match");
  const noneMatch = request.headers.get("if-none-match");
  const failed = (detail: string) => controlError("PENSTOCK_CONTROL_PRECONDITION_FAILED", { detail });
  if (match !== null && (etag === undefined || !listed(match, etag))) {
    throw failed(etag === undefined ? "it does not exist" : `its ETag is ${etag}`);
  }
  if (noneMatch !== null && etag !== undefined && listed(noneMatch, etag)) throw failed("it exists already");
}

/** A read whose content the client has already. */
export function isUnchanged(request: Request, etag: string): boolean {
  const noneMatch = request.headers.get("if-none-match");
  return noneMatch !== null && listed(noneMatch.replaceAll("W/", ""), etag);
}
