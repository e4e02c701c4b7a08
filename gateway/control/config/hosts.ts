/**
 * Who a host belongs to. Tenants claim patterns: `shop.example.com`, `*.example.com` (any number of labels before it),
 * `*` (all there is). Where claims of two tenants overlap, the more specific one wins: an operator may give one name of
 * a tenant's wildcard to another. The same pattern twice is a conflict.
 */

/** Does `claim` cover every host that `pattern` stands for? */
export function covers(claim: string, pattern: string): boolean {
  if (claim === "*" || claim === pattern) return true;
  if (!claim.startsWith("*.")) return false;
  // "*.example.com" covers "a.example.com" and "*.a.example.com", and not "example.com".
  return pattern.endsWith(claim.slice(1)) && pattern.length > claim.length - 1;
}

/** Claims that cover a pattern compare by length, except that a bare `*` is the least specific. */
function specificity(claim: string): number {
  if (claim === "*") return 0;
  return claim.startsWith("*.") ? claim.length : Number.MAX_SAFE_INTEGER;
}

export interface Claim {
  readonly tenant: string;
  readonly pattern: string;
}

/** The claim that a route's host pattern falls under; undefined when nobody has claimed it. */
export function ownerOf(pattern: string, claims: readonly Claim[]): Claim | undefined {
  let owner: Claim | undefined;
  for (const claim of claims) {
    if (!covers(claim.pattern, pattern)) continue;
    if (owner === undefined || specificity(claim.pattern) > specificity(owner.pattern)) owner = claim;
  }
  return owner;
}
