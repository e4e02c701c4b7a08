/**
 * The small schemas that resources are made of. Each describes itself, for the JSON Schema and for the message that a
 * reader gets: a message starts with the finding's code where the code is not simply "value" or "type" (`tagged`).
 */
import * as v from "valibot";
import type { ConfigErrorCode } from "#core/errors/config.ts";

const TAG = /^(PENSTOCK_[A-Z_]+) /;

export function tagged(code: ConfigErrorCode, detail: string): string {
  return `${code} ${detail}`;
}

/** The code and the words of a message; the code is undefined for a message without tag. */
export function untag(message: string): { code: string | undefined; detail: string } {
  const match = TAG.exec(message);
  if (match === null) return { code: undefined, detail: message };
  return { code: match[1], detail: message.slice(match[0].length) };
}

/** A choice, part of which the contract promises and this version does not do yet: refused by that name. */
export function choice<const T extends readonly string[]>(what: string, now: T, later: readonly string[] = []) {
  return v.picklist(now, (issue) => {
    const known = `${what} is one of ${now.join(", ")}`;
    const given = issue.input;
    if (typeof given === "string" && later.includes(given)) {
      return tagged("PENSTOCK_CONFIG_UNSUPPORTED", `${what} "${given}" is not supported by this version; ${known}`);
    }
    return `${known}, not ${issue.received}`;
  });
}

export function integer(min: number, max: number) {
  const message = `expected a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number((issue) => `${message}, not ${issue.received}`),
    v.integer(message),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

export const text = v.string((issue) => {
  const scalar = typeof issue.input === "number" || typeof issue.input === "boolean";
  return scalar
    ? `expected text: write it in quotes, "${String(issue.input)}"`
    : `expected text, not ${issue.received}`;
});

/** Names of resources: they stand in URLs, metric labels and file names. */
export const name = v.pipe(
  text,
  v.regex(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    "a name has 1 to 63 of a–z, 0–9 and -, and - neither first nor last",
  ),
);

export const version = v.pipe(
  text,
  v.regex(/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/, "a version has 1 to 64 letters, digits, dots, - and _"),
);

/** A host without port, lower case; `*.example.com` is any number of labels before it, `*` is every host. */
export const hostPattern = v.pipe(
  text,
  v.maxLength(253, "a host has at most 253 characters"),
  v.regex(
    /^(?:\*|(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])$/,
    'a host is written in lower case and without port: "shop.example.com", "*.example.com", "127.0.0.1", "[::1]" or "*"',
  ),
);

/** RFC 9110, 5.6.2: token. */
export const methodToken = v.pipe(
  text,
  v.regex(/^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$/, "a method is a token in upper case, such as GET"),
);

export const headerName = v.pipe(
  text,
  v.regex(/^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/, "a header name is a token in lower case, such as x-beta"),
);

/** RFC 9110, 5.5, without obs-text: which bytes a character above 127 stands for depends on whom one asks. */
export const headerValue = v.pipe(
  text,
  v.maxLength(1024, "a header value has at most 1024 characters"),
  v.regex(
    /^(?:[!-~](?:[\t -~]*[!-~])?)?$/,
    "a header value is ASCII, without control characters and without white space around it",
  ),
);

/** As the router sees it: normalised, percent-encoded, without query. */
export const requestPath = v.pipe(
  text,
  v.maxLength(2048, "a path has at most 2048 characters"),
  v.regex(/^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/, "a path starts with /, and is without query, fragment and white space"),
  v.check(
    (path) => !/\/\.{1,2}(?:\/|$)/.test(path),
    "a path has no . or .. segments: requests are matched after those are resolved",
  ),
);

export const sha256 = v.pipe(text, v.regex(/^[0-9a-f]{64}$/, "a digest is 64 lower-case hex digits (SHA-256)"));

/** A list that says what is wrong when it is none, and bounds what one declaration can make us do. */
export function list<const T extends v.GenericSchema>(item: T, max: number) {
  return v.pipe(
    v.array(item, (issue) =>
      issue.input === null ? "expected a list: write [] for none" : `expected a list, not ${issue.received}`,
    ),
    v.maxLength(max, `at most ${max} entries`),
  );
}
