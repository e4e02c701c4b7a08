/** Every verb that talks to a running gateway or helps a plugin's author, by name. */
import type { Verb } from "./verb.ts";

export const VERBS: Readonly<Record<string, Verb>> = {};
