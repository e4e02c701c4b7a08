// What request and response have in common: header fields, as strings, and as bytes without an allocation.
import {
  header_add, header_count, header_get, header_name, header_remove, header_set, header_value,
} from "./host";
import { HeaderName, idOf } from "./names";
import { BUFFER_BYTES, bufferFor, Bytes, decode, encode, encoded, encodedLength, inBuffer } from "./text";

export class Headers {
  /** 0 the request, 1 the response. */
  protected head: i32;

  constructor(head: i32) {
    this.head = head;
  }

  // Comfortable forms.

  /** Value of the first field of this name, or null. */
  header(name: string): string | null {
    const id = idOf(name);
    let buffer = inBuffer;
    let length = header_get(this.head, id, buffer, BUFFER_BYTES);
    if (length < 0) return null;
    if (length > BUFFER_BYTES) {
      buffer = bufferFor(length);
      length = header_get(this.head, id, buffer, length);
    }
    return decode(buffer, length);
  }

  hasHeader(name: string): bool {
    return header_get(this.head, idOf(name), inBuffer, 0) >= 0;
  }

  /** Replaces every field of this name by one. False: the host refuses the name or the value. */
  setHeader(name: string, value: string): bool {
    const id = idOf(name);
    encode(value);
    return header_set(this.head, id, encoded, encodedLength) == 1;
  }

  /** Adds a field, keeping those that are there. */
  addHeader(name: string, value: string): bool {
    const id = idOf(name);
    encode(value);
    return header_add(this.head, id, encoded, encodedLength) == 1;
  }

  /** Removes every field of this name; false when there was none. */
  removeHeader(name: string): bool {
    return header_remove(this.head, idOf(name)) == 1;
  }

  /** Number of fields, repeated ones counted. */
  get headerCount(): i32 {
    return header_count(this.head);
  }

  /** Name of the field at a position, in lower case. Positions are valid until the next edit. */
  headerNameAt(position: i32): string {
    const length = header_name(this.head, position, inBuffer, BUFFER_BYTES);
    return length < 0 ? "" : decode(inBuffer, length);
  }

  headerValueAt(position: i32): string {
    let buffer = inBuffer;
    let length = header_value(this.head, position, buffer, BUFFER_BYTES);
    if (length > BUFFER_BYTES) {
      buffer = bufferFor(length);
      length = header_value(this.head, position, buffer, length);
    }
    return length < 0 ? "" : decode(buffer, length);
  }

  // Fast forms: names and values made beforehand by `headerName` and `new Bytes`.

  /** True when the first field of this name has exactly this value. */
  headerIs(name: HeaderName, value: Bytes): bool {
    const length = header_get(this.head, name, inBuffer, BUFFER_BYTES);
    return length >= 0 && length <= BUFFER_BYTES && value.equals(inBuffer, length);
  }

  setHeaderTo(name: HeaderName, value: Bytes): bool {
    return header_set(this.head, name, value.pointer, value.length) == 1;
  }

  addHeaderOf(name: HeaderName, value: Bytes): bool {
    return header_add(this.head, name, value.pointer, value.length) == 1;
  }

  removeHeaderOf(name: HeaderName): bool {
    return header_remove(this.head, name) == 1;
  }
}
