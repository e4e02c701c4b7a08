/** Trailers, as pipelines have them: a plain object that lasts, or null. */
import type { Head } from "#http/head.ts";

export interface HttpTail {
  readonly headers: Readonly<Record<string, string>>;
}

export function tailOf(trailers: Head | null): HttpTail | null {
  return trailers === null ? null : { headers: Object.fromEntries(trailers.entries()) };
}
