/** One line of what `penstock doctor` says. */

export interface Finding {
  readonly area: "system" | "io" | "confinement" | "kernel";
  readonly feature: string;
  readonly available: boolean;
  /** What was found; why not, where it is not available. */
  readonly detail: string;
  /** What the gateway does without it. */
  readonly instead: string;
}

export function finding(
  area: Finding["area"],
  feature: string,
  available: boolean,
  detail: string,
  instead: string,
): Finding {
  return { area, feature, available, detail, instead };
}
