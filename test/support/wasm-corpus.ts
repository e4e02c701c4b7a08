/**
 * Modules made to do harm, each a file with its expected outcome (`test/corpus/wasm`): text of WebAssembly, or bytes in
 * hexadecimal where a text could not say it.
 *
 *     ;; What it does.
 *     ;; EXPECT refused REASON | unconfigured REASON | fault CAUSES | fault-unseen CAUSES | bounded | passes
 *     ;; WITH fetch | post
 *
 * REASON is a pattern, CAUSES are alternatives. `{{repeat N|text}}` stands for the text N times, `{{number N|text}}` for the text N
 * times with its number for each #: what is large is not stored large.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { wat } from "./wat.ts";

const DIRECTORY = join(import.meta.dirname, "../corpus/wasm");

/** `bounded`: how it ends is for the quotas to say; that it does, and nobody else notices, is what counts. */
export type Outcome = "refused" | "unconfigured" | "fault" | "fault-unseen" | "bounded" | "passes";

export interface HostileModule {
  readonly name: string;
  readonly outcome: Outcome;
  /** Of the reason, or of the cause of the fault. */
  readonly detail: RegExp;
  readonly with: "fetch" | "post" | null;
  bytes(): Uint8Array;
}

export function wasmCorpus(): HostileModule[] {
  return readdirSync(DIRECTORY)
    .toSorted()
    .map((file) => {
      const text = readFileSync(join(DIRECTORY, file), "utf8");
      const [, outcome, detail = ""] = /^(?:;;|#) EXPECT ([\w-]+) ?(.*)$/m.exec(text) ?? [];
      if (!isOutcome(outcome)) throw new Error(`${file} says no outcome`);
      const isCause = outcome === "fault" || outcome === "fault-unseen";
      const needs = /^(?:;;|#) WITH (fetch|post)$/m.exec(text)?.[1];
      return {
        name: file.replace(/\.\w+$/, ""),
        outcome,
        detail: new RegExp(isCause ? `^(?:${detail})$` : detail),
        with: needs === "fetch" || needs === "post" ? needs : null,
        bytes: () => (file.endsWith(".hex") ? fromHex(expanded(text)) : wat(expanded(text))),
      };
    });
}

function isOutcome(text: string | undefined): text is Outcome {
  return text !== undefined && ["refused", "unconfigured", "fault", "fault-unseen", "bounded", "passes"].includes(text);
}

function fromHex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(/^#.*$/gm, "").replaceAll(/\s/g, ""), "hex");
}

/** The innermost first. */
function expanded(text: string): string {
  const inner = /\{\{(repeat|number) (\d+)\|((?:(?!\{\{|\}\}).)*)\}\}/gs;
  let before = "";
  let after = text;
  while (after !== before) {
    before = after;
    after = before.replaceAll(inner, (_, kind: string, count: string, what: string) =>
      kind === "repeat"
        ? what.repeat(Number(count))
        : Array.from({ length: Number(count) }, (_unused, index) => what.replaceAll("#", String(index))).join("\n"),
    );
  }
  return after;
}
