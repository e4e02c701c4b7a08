/** Where a pooled object goes when it has ended. */
export interface Home<T> {
  give(one: T): void;
  /** It has ended and must not serve again. */
  retire(): void;
}
