/** Tables: columns as wide as what is in them; on a terminal, the widest give way until the table fits. */
import type { Output } from "./verb.ts";

const GAP = 2;
const COLUMN_MIN = 6;

export function table(head: readonly string[], rows: readonly (readonly string[])[], out: Output): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  if (out.interactive) fit(widths, out.width);
  return all.map((row) => line(row, widths)).join("\n");
}

function fit(widths: number[], width: number): void {
  const room = Math.max(width - GAP * (widths.length - 1), widths.length * COLUMN_MIN);
  for (let over = sum(widths) - room; over > 0; over = sum(widths) - room) {
    const widest = widths.indexOf(Math.max(...widths));
    const second = Math.max(COLUMN_MIN, ...widths.filter((_, column) => column !== widest));
    const current = widths[widest] ?? 0;
    // Down to the next widest, or just as far as needed; at least one column, so that this ends.
    widths[widest] = Math.max(current - over, Math.min(second, current - 1));
  }
}

function line(row: readonly string[], widths: readonly number[]): string {
  const cells = widths.map((width, column) => clipped(row[column] ?? "", width).padEnd(width));
  return cells.join(" ".repeat(GAP)).trimEnd();
}

function clipped(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
