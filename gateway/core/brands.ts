/** Numbers that must not be mixed up: each brand is minted in one function. */
declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A file descriptor of this process. */
export type Fd = Brand<number, "Fd">;
export function asFd(value: number): Fd {
  return value as Fd;
}
