/**
 * Fuel for the start of a plugin that brings a language's runtime along: Go's takes 10 to 20 million before its first callback,
 * 20 to 60 ms. Spent where a snapshot is prepared, and after a fault, which the breaker bounds.
 */
export const FOREIGN_START_FUEL = 30_000_000;
