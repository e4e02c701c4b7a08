/** JSON pointers (RFC 6901): `/routes/0/match/hosts/1`, with `~` and `/` in names written `~0` and `~1`. */

export type PointerPath = readonly (string | number)[];

export function pointerTo(path: PointerPath): string {
  let pointer = "";
  for (const step of path) pointer += `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return pointer;
}

/** The steps of a pointer, unescaped; array indices stay text, as RFC 6901 has them. */
export function pointerSteps(pointer: string): string[] {
  if (pointer === "") return [];
  return pointer
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}
