/** A tenant's secret, as it is declared. */
import * as v from "valibot";
import { resource } from "./fields.ts";
import { name, text } from "./primitives.ts";

export const CHARACTERS_MAX = 65_536;

export const Secret = resource("a secret", {
  name,
  tenant: name,
  /** Taken out, sealed and kept apart when it arrives, and never shown; left out, it is the one that was given before. */
  value: v.optional(
    v.pipe(
      text,
      v.minLength(1, "a secret can't be empty"),
      v.maxLength(CHARACTERS_MAX, `a secret has at most ${CHARACTERS_MAX} characters`),
    ),
  ),
  /** Stands for a value that was given: another value has another one. Written by the gateway. */
  fingerprint: v.optional(
    v.pipe(text, v.regex(/^[0-9a-f]{64}$/, "a fingerprint is what the gateway has shown: 64 lower-case hex digits")),
  ),
});

export type SecretResource = v.InferOutput<typeof Secret>;
