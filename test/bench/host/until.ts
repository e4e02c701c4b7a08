import { setTimeout as sleep } from "node:timers/promises";

const STEP_MS = 25;

/** Waits for `holds`; throws after `limitMs`, or what `holds` throws. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await sleep(STEP_MS);
  }
}
