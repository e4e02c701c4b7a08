/** Byte ranges (RFC 9110 section 14.1.2). */

/** `last` included, as the field has it. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** More are no sensible request: what Apache's "range killer" of 2011 taught. */
const RANGES_MAX = 8;

/**
 * The ranges that a Range field asks of `size` bytes, in its order; those that overlap or touch are joined. Null: the field
 * is to be ignored. Empty: none can be satisfied (416).
 */
export function rangesOf(field: string | undefined, size: number): ByteRange[] | null {
  const specs = /^bytes=([\d\s,-]+)$/i.exec(field ?? "")?.[1]?.split(",");
  if (specs === undefined || specs.length > RANGES_MAX) return null;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const parts = /^\s*(\d*)-(\d*)\s*$/.exec(spec);
    const [, from = "", to = ""] = parts ?? [];
    if (parts === null || (from === "" && to === "")) return null;
    if (from !== "" && to !== "" && Number(from) > Number(to)) return null;
    const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
    const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
    if (first < size && (from !== "" || Number(to) > 0)) ranges.push({ first, last });
  }
  return joined(ranges);
}

function joined(ranges: readonly ByteRange[]): ByteRange[] {
  const apart: ByteRange[] = [];
  for (const range of ranges) {
    const near = apart.findIndex(({ first, last }) => range.first <= last + 1 && first <= range.last + 1);
    const other = apart[near];
    if (other === undefined) apart.push(range);
    else apart[near] = { first: Math.min(other.first, range.first), last: Math.max(other.last, range.last) };
  }
  // One that was joined may touch another now.
  return apart.length === ranges.length ? apart : joined(apart);
}
