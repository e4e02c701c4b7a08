/** ClientHello messages made by hand, part by part, so that each part can be wrong; and records around them. */

export interface HelloParts {
  readonly serverName?: string;
  readonly alpn?: readonly string[];
  readonly versions?: readonly number[];
  readonly legacyVersion?: number;
  /** Whole extensions, appended as they are. */
  readonly extra?: readonly Uint8Array[];
  readonly extensions?: false;
}

export function helloMessage(parts: HelloParts = {}): Buffer {
  const extensions = [
    ...(parts.serverName === undefined
      ? []
      : [extension(0, vector(2, Buffer.concat([Buffer.of(0), vector(2, Buffer.from(parts.serverName))])))]),
    ...(parts.alpn === undefined
      ? []
      : [extension(16, vector(2, Buffer.concat(parts.alpn.map((one) => vector(1, Buffer.from(one))))))]),
    ...(parts.versions === undefined
      ? []
      : [extension(43, vector(1, Buffer.from(parts.versions.flatMap((one) => [one >> 8, one & 0xff]))))]),
    ...(parts.extra ?? []),
  ];
  const body = Buffer.concat([
    Buffer.of((parts.legacyVersion ?? 0x0303) >> 8, (parts.legacyVersion ?? 0x0303) & 0xff),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32, 1)),
    vector(2, Buffer.of(0x13, 0x01, 0xc0, 0x2f)),
    vector(1, Buffer.of(0)),
    ...(parts.extensions === false ? [] : [vector(2, Buffer.concat(extensions))]),
  ]);
  return Buffer.concat([Buffer.of(1, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff), body]);
}

export function extension(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(type >> 8, type & 0xff), vector(2, body)]);
}

export function vector(width: 1 | 2, body: Uint8Array): Buffer {
  const length = width === 1 ? Buffer.of(body.length) : Buffer.of(body.length >> 8, body.length & 0xff);
  return Buffer.concat([length, body]);
}

/** Handshake records with the message cut at these places. */
export function handshakeRecords(message: Uint8Array, ...cuts: readonly number[]): Buffer {
  const places = [0, ...cuts, message.length];
  return Buffer.concat(
    places.slice(1).map((to, i) => Buffer.concat([Buffer.of(22, 3, 1), vector(2, message.subarray(places[i], to))])),
  );
}
