/**
 * The error registry's type and its one class. Each area keeps its own table in `errors/<area>.ts`; `registry.ts` joins
 * them, and a test holds the joined table against the reference in the README. Codes are stable: a released code is
 * never given another meaning.
 *
 * The control plane throws these; the data plane returns outcomes and never throws for bad input.
 */

export interface ErrorSpec {
  /** What went wrong, one sentence, no full stop at the end. */
  readonly message: string;
  /** HTTP status of the problem document that carries it (RFC 9457). */
  readonly status: number;
  /** What the reader can do about it. */
  readonly hint: string;
}

export type ErrorTable = Readonly<Record<string, ErrorSpec>>;

export interface ErrorDetail {
  /** JSON pointer (RFC 6901) into what was submitted. */
  readonly pointer?: string;
  /** What exactly, in this case: replaces nothing, is appended to the registered message. */
  readonly detail?: string;
  readonly cause?: unknown;
  /** Several findings at once, e.g. all the errors of a configuration. */
  readonly errors?: readonly Finding[];
}

export interface Finding {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
  /** `file:line:column`, when the source was a file. */
  readonly at?: string;
}

export class PenstockError extends Error {
  readonly code: string;
  readonly status: number;
  readonly hint: string;
  readonly pointer: string | undefined;
  readonly errors: readonly Finding[];

  constructor(code: string, spec: ErrorSpec, more: ErrorDetail = {}) {
    super(more.detail === undefined ? spec.message : `${spec.message}: ${more.detail}`, { cause: more.cause });
    this.name = "PenstockError";
    this.code = code;
    this.status = spec.status;
    this.hint = spec.hint;
    this.pointer = more.pointer;
    this.errors = more.errors ?? [];
  }
}

/** Makes the thrower of one area's table, with the codes checked by type. */
export function thrower<T extends ErrorTable>(table: T): (code: keyof T & string, more?: ErrorDetail) => PenstockError {
  return (code, more) => new PenstockError(code, table[code] as ErrorSpec, more);
}
