/** What an interceptor is told to be. */
export interface InterceptorDeclaration {
  readonly name: string;
  /** By name; empty: every one that packets from outside come in by, and those that are made later. */
  readonly devices: readonly string[];
  readonly ports: readonly number[];
  /** Index into the listeners; a transparent one. */
  readonly listener: number;
  readonly leaseMs: number;
}
