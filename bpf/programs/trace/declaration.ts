/** Whose connections are traced. */
export interface TraceDeclaration {
  /** Index into the listeners; one of TCP. */
  readonly listener: number;
  /** Responses that take longer are told of while somebody follows. Absent: none. */
  readonly slowMs?: number;
}
