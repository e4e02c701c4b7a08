/** Of the map that holds the bans of a tenant's plugins; no declared map can have such a name. */
export function banMapName(tenant: string): string {
  return `bans:${tenant}`;
}
