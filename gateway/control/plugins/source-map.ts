/**
 * From an offset in a module to the line of the source it was made of. Source maps of version 3, as compilers to WebAssembly
 * write them: the generated file is one line, whose columns are offsets in the module.
 * Source: ECMA-426, sections 8 and 9 (mappings in base64 VLQ).
 */
export const SOURCE_MAP_BYTES_MAX = 4 * 2 ** 20;

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE_OF = new Int8Array(128).fill(-1);
for (let value = 0; value < DIGITS.length; value++) VALUE_OF[DIGITS.charCodeAt(value)] = value;

export interface SourcePlace {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export class SourceMap {
  readonly #sources: readonly string[];
  /** Ascending. */
  readonly #offsets: number[] = [];
  /** Of each: source, line and column, from 0. */
  readonly #places: number[] = [];

  /** Throws Error when the text is no source map of version 3. */
  constructor(json: string) {
    const map: unknown = JSON.parse(json);
    if (!isMap(map)) throw new Error("no source map of version 3");
    this.#sources = map.sources;
    this.#read(map.mappings);
  }

  /** The place whose code stands at `offset`; undefined where the compiler names none. */
  placeOf(offset: number): SourcePlace | undefined {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#offsets[middle] as number) <= offset) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const [source = 0, line = 0, column = 0] = this.#places.slice(3 * (low - 1), 3 * low);
    const file = this.#sources[source];
    return file === undefined ? undefined : { file, line: line + 1, column: column + 1 };
  }

  #read(mappings: string): void {
    let at = 0;
    const state = [0, 0, 0, 0];
    let field = 0;
    const end = () => {
      if (field >= 4) {
        this.#offsets.push(state[0] as number);
        this.#places.push(...state.slice(1));
      }
      field = 0;
    };
    while (at < mappings.length) {
      const code = mappings.charCodeAt(at);
      if (code === 0x2c || code === 0x3b) {
        end();
        at++;
        continue;
      }
      let value = 0;
      let shift = 0;
      let digit: number;
      do {
        digit = VALUE_OF[mappings.charCodeAt(at++)] ?? -1;
        if (digit < 0 || shift > 30) throw new Error(`the mappings are broken at ${at - 1}`);
        value += (digit & 31) * 2 ** shift;
        shift += 5;
      } while ((digit & 32) !== 0);
      const delta = value % 2 === 0 ? value / 2 : -(value - 1) / 2;
      if (field < 4) state[field] = (state[field] as number) + delta;
      field++;
    }
    end();
  }
}

function isMap(map: unknown): map is { readonly sources: readonly string[]; readonly mappings: string } {
  if (typeof map !== "object" || map === null) return false;
  const { version, sources, mappings } = map as Record<string, unknown>;
  return (
    version === 3 &&
    typeof mappings === "string" &&
    Array.isArray(sources) &&
    sources.every((one) => typeof one === "string")
  );
}
