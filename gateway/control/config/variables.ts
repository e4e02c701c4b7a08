/**
 * References in the scalars of a declaration on disk, put in where the declaration is read:
 *
 *     ${NAME}  ${NAME:-otherwise}    of the environment
 *     ${file:PATH}                   a file's text without its last line feed; relative to the file that names it
 *     $${                            a literal ${
 *
 * They stand in values, never in keys, and what they stand for is text: it can't close a quote or begin another field. Only
 * a plain scalar that becomes a number, a boolean or null is one. A document that comes over the network is not expanded: the
 * environment is not its sender's.
 */
import { isScalar, parseDocument, Scalar, visit, type Document } from "yaml";

/** Answers what a reference (`NAME`, `file:PATH`) stands for; undefined: nothing. */
export type Resolve = (reference: string) => string | undefined;

export interface Unresolved {
  readonly reference: string;
  /** Offset of the scalar in the text. */
  readonly offset: number;
}

const REFERENCE = /\$(\$\{|\{(file:[^}]*|[A-Za-z_]\w*)(?::-([^}]*))?\})/g;

/** Puts in all references of a document; answers those that stand for nothing. What has the form of none stays as it is. */
export function expand(document: Document, resolve: Resolve): Unresolved[] {
  const unresolved: Unresolved[] = [];
  visit(document, {
    Scalar: (key, node) => {
      if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return;
      const before = node.value;
      const after = before.replaceAll(REFERENCE, (whole, _inner, reference?: string, otherwise?: string) => {
        if (reference === undefined) return "${";
        const value = resolve(reference) ?? otherwise;
        if (value === undefined) unresolved.push({ reference, offset: node.range?.[0] ?? 0 });
        return value ?? whole;
      });
      if (after !== before) node.value = node.type === Scalar.PLAIN ? typed(after) : after;
    },
  });
  return unresolved;
}

/** What YAML's core schema says of a plain scalar, where that is no text. */
function typed(text: string): unknown {
  const { contents, errors } = parseDocument(text, { version: "1.2", schema: "core", prettyErrors: false });
  const value: unknown =
    errors.length === 0 && isScalar(contents) && contents.type === Scalar.PLAIN ? contents.value : text;
  return typeof value === "number" || typeof value === "boolean" || value === null ? value : text;
}
