/** Where in a script something went wrong: `router.ts:12:5: TypeError: …`. */

/** A frame of a script's own module, or the place of a syntax error: the loader marks addresses with their program. */
const FRAME = /\(?(?:file:\/\/)?([^()\s]+?)\?penstock=\d+:(\d+(?::\d+)?)\)?/;

/** Whether a frame of a stack is a script's. */
export function isOfScript(frame: string): boolean {
  return FRAME.test(frame);
}

/** The error's words, behind the innermost place of the script's own; with its cause. */
export function scriptPlace(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`;
  const frame = FRAME.exec(error.stack ?? "");
  const words = error.name === "Error" ? error.message : `${error.name}: ${error.message}`;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  const text = `${words}${cause}`.replaceAll(/\?penstock=\d+/g, "");
  return frame === null ? text : `${decodeURI(String(frame[1]))}:${frame[2]}: ${text}`;
}
