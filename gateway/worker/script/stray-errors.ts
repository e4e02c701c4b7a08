/**
 * What a script throws where none of its streams waits for it: in a timer, or in a promise that nobody looks after. It is
 * logged with its place and ends nothing: the streams of this worker are others'. What is thrown in code of ours ends the
 * worker, as ever, since its state may be half changed.
 */
import { isOfScript, scriptPlace } from "./script-place.ts";

/** Frames of files, innermost first; Node's own have other URLs. */
const FILES = /\bfile:\/\/\S+/g;

let told: ((line: string) => void) | null = null;

/** From the first script on, for the worker's life. */
export function outliveStrayErrors(log: (line: string) => void): void {
  if (told === null) process.on("uncaughtException", judge);
  told = log;
}

function judge(error: unknown, origin: NodeJS.UncaughtExceptionOrigin): void {
  const frames = (error instanceof Error ? (error.stack ?? "") : "").match(FILES) ?? [];
  // An exception has broken off whatever was outermost; a rejection nothing.
  const broken = origin === "uncaughtException" ? frames.slice(-1) : frames;
  if (frames.length > 0 && !broken.some(isOfScript)) throw error;
  told?.(`script ${scriptPlace(error)}`);
}
