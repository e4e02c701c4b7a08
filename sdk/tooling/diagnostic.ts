/** What a builder says of a plugin. */
export interface Diagnostic {
  readonly severity: "error" | "warning" | "info";
  readonly code: number;
  readonly message: string;
  /** Relative to the plugin's folder; empty when it concerns no place. */
  readonly file: string;
  /** From 1; 0 when it concerns no place. */
  readonly line: number;
  readonly column: number;
}

export interface BuildResult {
  /** Empty when there are errors. */
  readonly wasm: Uint8Array;
  /** Version 3 source map of `wasm`, as JSON; empty when there are errors. */
  readonly sourceMap: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** `assembly/index.ts:3:7: error: …`, as compilers say it. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, severity, message } = diagnostic;
  return file === "" ? `${severity}: ${message}` : `${file}:${line}:${column}: ${severity}: ${message}`;
}
