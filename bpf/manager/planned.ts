/** Something of a prepared change. */
export interface Planned<T> {
  /** In force already and unchanged. */
  readonly kept: boolean;
  readonly item: T;
}
