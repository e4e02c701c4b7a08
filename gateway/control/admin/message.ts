/** What a change is for, in its author's words: the `penstock-message` field. */
import { controlError } from "#core/errors/control.ts";
import type { Call } from "./route.ts";

/** Shown in the list of revisions; percent-encoded, since a header field is ASCII. */
export function messageOf({ request }: Call, otherwise: string): string {
  const given = request.headers.get("penstock-message");
  if (given === null) return otherwise;
  try {
    return decodeURIComponent(given).slice(0, 200);
  } catch (error) {
    throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", {
      detail: "penstock-message is not percent-encoded UTF-8",
      cause: error,
    });
  }
}
