/** Content codings (RFC 9110 section 8.4.1): what is offered, what a client takes, and the streams that do the work. */
import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createGunzip,
  createGzip,
  createInflate,
  createZstdCompress,
  createZstdDecompress,
} from "node:zlib";
import type { Transform } from "node:stream";
import type { Coding } from "#snapshot/builtin-filters.ts";

/** As node:zlib's streams have it beside what every transform has. */
export interface CodingStream extends Transform {
  flush(done: () => void): void;
}

const OUTPUT_BYTES = 32 * 1024;
/** 256 KiB of history for Brotli and zstd: what they gain beyond that is not worth megabytes for each response. */
const WINDOW_BITS = 18;

/** A stream that compresses. Its memory: 0.3 MiB for gzip, about 1 MiB for the others. */
export function compressor(coding: Coding, level: number | undefined): CodingStream {
  switch (coding) {
    case "gzip":
      return createGzip({ chunkSize: OUTPUT_BYTES, level: level ?? 5 });
    case "br":
      return createBrotliCompress({
        chunkSize: OUTPUT_BYTES,
        params: {
          [constants.BROTLI_PARAM_QUALITY]: level ?? 4,
          [constants.BROTLI_PARAM_LGWIN]: WINDOW_BITS,
        },
      });
    case "zstd":
      return createZstdCompress({
        chunkSize: OUTPUT_BYTES,
        params: {
          [constants.ZSTD_c_compressionLevel]: level ?? 3,
          [constants.ZSTD_c_windowLog]: WINDOW_BITS,
        },
      });
  }
}

/** For a field's value, or null when it names something else, or several codings on top of each other. */
export function decompressor(coding: string): CodingStream | null {
  switch (coding.trim().toLowerCase()) {
    case "gzip":
    case "x-gzip":
      return createGunzip({ chunkSize: OUTPUT_BYTES });
    case "deflate":
      return createInflate({ chunkSize: OUTPUT_BYTES });
    case "br":
      return createBrotliDecompress({ chunkSize: OUTPUT_BYTES });
    case "zstd":
      // RFC 9659 section 3: no window beyond 8 MiB.
      return createZstdDecompress({ chunkSize: OUTPUT_BYTES, params: { [constants.ZSTD_d_windowLogMax]: 23 } });
    default:
      return null;
  }
}

/**
 * Which of the offered codings a client wants most (RFC 9110 section 12.5.3), or null for none. Among equals the order
 * of the offer decides. `accept`: the value of Accept-Encoding.
 */
export function preferred(accept: string | undefined, offered: readonly Coding[]): Coding | null {
  if (accept === undefined) return null;
  const weights = weightsOf(accept);
  const any = weights.get("*");
  let best: Coding | null = null;
  let most = weights.get("identity") ?? 0;
  for (const coding of offered) {
    const weight = weights.get(coding) ?? any ?? 0;
    if (weight === 0 || weight < most || (weight === most && best !== null)) continue;
    best = coding;
    most = weight;
  }
  return best;
}

/** True when a client takes this coding. */
export function accepts(accept: string | undefined, coding: string): boolean {
  const weights = weightsOf(accept ?? "");
  return (weights.get(coding.trim().toLowerCase()) ?? weights.get("*") ?? 0) > 0;
}

const MEMBERS_MAX = 32;

function weightsOf(accept: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const member of accept.split(",", MEMBERS_MAX)) {
    const [name = "", ...parameters] = member.split(";");
    const quality = parameters
      .map((one) => /^\s*q=([01](?:\.\d{0,3})?)\s*$/i.exec(one)?.[1])
      .find((q) => q !== undefined);
    weights.set(name.trim().toLowerCase(), quality === undefined ? 1 : Math.min(1, Number(quality)));
  }
  return weights;
}
