/** What a bench is to `main.ts`. */
import type { Figure } from "./figures.ts";
import type { Scope } from "./host/scope.ts";

export interface BenchOptions {
  readonly rounds: number;
  /** Of one round of one side. */
  readonly seconds: number;
  readonly progress: (text: string) => void;
}

export interface Report {
  /** In the order in which they are printed as JSON. */
  readonly figures: readonly Figure[];
  /** The same for people, and what they should know about it. */
  readonly text: string;
}

export type Bench = (scope: Scope, options: BenchOptions) => Promise<Report>;
