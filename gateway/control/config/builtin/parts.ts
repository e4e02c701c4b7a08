/** Schemas that several built-in filters' configurations are made of. */
import * as v from "valibot";
import { headerName, headerValue, text } from "#control/config/primitives.ts";

/**
 * Fields that frame a message or belong to one connection: no filter may touch them. The same as NAME_FIXED of
 * `http/names.ts`, which this room doesn't know; a test compares them.
 */
export const FIXED_FIELDS: readonly string[] = [
  "content-length",
  "transfer-encoding",
  "connection",
  "upgrade",
  "expect",
  "content_length",
  "transfer_encoding",
  "keep-alive",
  "proxy-connection",
  "te",
];

const EDITS_MAX = 32;

/** The name of a field that a filter may change. */
export const editableName = v.pipe(
  headerName,
  v.check(
    (name) => !FIXED_FIELDS.includes(name),
    ({ input }) => `"${input}" belongs to the connection or frames the message; the gateway writes it itself`,
  ),
  v.check((name) => name !== "host", "the host is changed by the filter rewrite"),
);

/**
 * The name of a field that a filter may give a request. What tells where a request came from is written by the gateway
 * when the request leaves; of a client that isn't trusted to say so, such fields are left out then, whoever wrote them.
 */
export const requestName = v.pipe(
  editableName,
  v.check(
    (name) => !/^(?:x[-_]forwarded[-_].*|forwarded)$/.test(name),
    ({ input }) => `"${input}" tells where a request came from, which the gateway writes itself; choose another name`,
  ),
);

export const requestValues = valuesOf(requestName);
export const responseValues = valuesOf(editableName);

function valuesOf<const Name extends typeof editableName | typeof requestName>(named: Name) {
  return v.pipe(
    v.record(named, headerValue, "expected header names with values"),
    v.check((values) => Object.keys(values).length <= EDITS_MAX, `at most ${EDITS_MAX} headers`),
  );
}

export const percent = v.pipe(
  v.number(({ received }) => `expected a number from 0 to 100, not ${received}`),
  v.minValue(0, "expected a number from 0 to 100"),
  v.maxValue(100, "expected a number from 0 to 100"),
);

/** `name` or `name:port`, as a Host field has it. */
export const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/;

/** Stands in a quoted string of a challenge, unescaped. */
export const realm = v.pipe(
  text,
  v.regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'a realm is 1 to 128 ASCII characters without " and \\'),
);

/** Who has shown a credential, as the upstream is told. */
export const identity = v.pipe(
  text,
  v.regex(/^[\x21-\x39\x3b-\x7e]{1,128}$/, "a name is 1 to 128 visible ASCII characters, and no colon"),
);

/** For `v.check` on a list of things with names. */
export function namesDiffer<T extends { readonly name: string }>(list: T[]): boolean {
  return new Set(list.map(({ name }) => name)).size === list.length;
}
