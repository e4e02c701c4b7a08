/** What the driver contract needs of a network: a driver, and other ends that tests control byte by byte. */
import type { Fd } from "#core/brands.ts";
import type { Driver } from "#io/driver.ts";

export type Kind = "tcp" | "unix";

/** The other end of one of the driver's sockets. */
export interface Remote {
  write(bytes: Uint8Array): void;
  /** FIN after all that was written. */
  end(): void;
  /** RST. */
  reset(): void;
  /** Reads no more. */
  pause(): void;
  resume(): void;
  /** All that has come, in order. */
  readonly received: Received;
  /** The driver's side has sent FIN. */
  readonly ended: boolean;
  /** The connection broke. */
  readonly broken: boolean;
}

export interface Place {
  readonly fd: Fd;
  readonly address: Uint8Array;
}

/** A service that the driver connects to. */
export interface Service {
  readonly address: Uint8Array;
  readonly remotes: readonly Remote[];
}

export interface Signal {
  readonly fd: Fd;
  raise(): void;
  lower(): void;
}

export interface Network {
  readonly driver: Driver;
  /** A fresh listening descriptor. */
  listen(kind: Kind): Place;
  dial(place: Place): Remote;
  serve(kind: Kind): Promise<Service>;
  /** Where nobody listens. */
  nowhere(kind: Kind): Uint8Array;
  /** Where nobody answers: a connect stays under way for a second at least. */
  silent(): Uint8Array;
  /** From now on accepts fail for want of descriptors, until the answer is called. */
  exhaust(): () => void;
  /** A descriptor to watch. */
  signal(): Signal;
  /** Milliseconds on the clock that the driver's waits are measured by. */
  nowMs(): number;
  /** Lets the other ends do what they have to, outside the driver. */
  breathe(): Promise<void>;
  /** Descriptors this process has open; 0 where they aren't real. */
  descriptors(): number;
  /** Closes the other ends and the listeners; the driver's sockets are the test's. */
  close(): Promise<void>;
}

/** Bytes in order, whose value tells their position: a pattern with a period that divides no buffer or segment size. */
export function pattern(from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (from + i) % 251;
  return bytes;
}

/** Counts bytes and checks each against the pattern, so that megabytes need not be kept. */
export class Received {
  count = 0;
  /** Position of the first byte that was wrong; −1 for none. */
  wrongAt = -1;

  add(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length && this.wrongAt < 0; i++) {
      if (bytes[i] !== (this.count + i) % 251) this.wrongAt = this.count + i;
    }
    this.count += bytes.length;
  }
}
