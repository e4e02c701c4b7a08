/** What may be a secret, taken out of what people are shown of live traffic: by the name it goes under. */

const SECRET = /auth|cookie|token|secret|passw|api-?key|session|signature|credential|^x-amz-/i;
export const REDACTED = "(redacted)";

export function redactedFields(fields: readonly (readonly [string, string])[]): [string, string][] {
  return fields.map(([name, value]) => [name, SECRET.test(name) ? REDACTED : value]);
}

/** A request's target: values of its query under such names, and a name and password in front of a host. */
export function redactedTarget(target: string): string {
  const question = target.indexOf("?");
  const path = (question < 0 ? target : target.slice(0, question)).replace(/\/\/[^/@]*@/, `//${REDACTED}@`);
  if (question < 0) return path;
  const parts = target.slice(question + 1).split("&");
  return `${path}?${parts.map(redactedPart).join("&")}`;
}

function redactedPart(part: string): string {
  const equals = part.indexOf("=");
  if (equals < 0) return part;
  const name = part.slice(0, equals);
  return SECRET.test(decoded(name)) || name === "key" || name === "sig" ? `${name}=${REDACTED}` : part;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    // No encoding of anything: taken as it is.
    return name;
  }
}
