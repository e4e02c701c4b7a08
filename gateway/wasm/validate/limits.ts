/**
 * What a module may measure at most. The operator's quota may raise `bytesMax` and `memoryPagesMax`; the others bound
 * the time that compiling one function or one module can take and stay as they are.
 */
export interface ModuleLimits {
  /** Bytes of the uploaded module. */
  readonly bytesMax: number;
  /** Bytes of one function body. Compile time of a function grows faster than its size. */
  readonly bodyBytesMax: number;
  readonly functionsMax: number;
  /** Declared locals of one function, parameters not counted. */
  readonly localsMax: number;
  /** Blocks, loops and ifs inside each other. */
  readonly nestingMax: number;
  /** Targets of one br_table, the default not counted. */
  readonly branchTableMax: number;
  readonly typesMax: number;
  /** Parameters of one type; also its results. */
  readonly paramsMax: number;
  /** 64 KiB pages, of the declared minimum; a larger maximum is lowered to this. */
  readonly memoryPagesMax: number;
  /** Elements, of the declared minimum of each table; a larger maximum is lowered to this. */
  readonly tableElementsMax: number;
  readonly tablesMax: number;
  readonly importsMax: number;
  readonly exportsMax: number;
  readonly globalsMax: number;
  /** Data segments; element segments. */
  readonly segmentsMax: number;
}

export const DEFAULT_MODULE_LIMITS: ModuleLimits = {
  bytesMax: 4 << 20,
  bodyBytesMax: 256 << 10,
  functionsMax: 20_000,
  localsMax: 1_000,
  nestingMax: 1_000, // Go nests 450 deep in its runtime, 550 in its HTTP server
  branchTableMax: 10_000,
  typesMax: 5_000,
  paramsMax: 200,
  memoryPagesMax: 16, // 1 MiB, the default of a route's limits.memoryBytes
  tableElementsMax: 10_000,
  tablesMax: 10,
  importsMax: 200,
  exportsMax: 1_000,
  globalsMax: 10_000,
  segmentsMax: 100_000, // Go writes some 40 000 of them
};
