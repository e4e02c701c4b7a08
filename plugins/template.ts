/** Texts of `redirect` and `rewrite` in which `{host}`, `{path}` and `{query}` stand for the request's. */
import type { Head } from "#http/head.ts";

const PLACEHOLDER = /\{(host|path|query)\}/g;

export function filled(template: string, request: Head): string {
  return template.replaceAll(PLACEHOLDER, (_, name: string) => {
    if (name === "host") return request.hostText();
    return name === "path" ? request.pathText() : request.queryText();
  });
}

/** A query, without the ampersand that is left over where the request has none; empty: none. */
export function filledQuery(template: string, request: Head): string {
  return filled(template, request).replaceAll(/^&|&$/g, "");
}
