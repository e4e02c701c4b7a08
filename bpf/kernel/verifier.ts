/**
 * The verifier's refusal. Its log can be megabytes long and ends with what went wrong, so the error's message leads with
 * those lines and `log` keeps everything.
 */
import { PenstockError } from "#core/errors.ts";
import { BPF_ERRORS } from "#core/errors/bpf.ts";
import { errnoName } from "#sys/libc.ts";

export class VerifierError extends PenstockError {
  /** As the kernel wrote it, whole unless it was longer than the buffer. */
  readonly log: string;
  readonly program: string;

  constructor(program: string, errno: number, log: string) {
    const lines = relevantLines(log);
    super("PENSTOCK_BPF_VERIFIER", BPF_ERRORS.PENSTOCK_BPF_VERIFIER, {
      detail: `${program} (${errnoName(errno)})${lines.length === 0 ? "" : `: ${lines.join("\n  ")}`}`,
    });
    this.name = "VerifierError";
    this.program = program;
    this.log = log;
  }
}

/** Lines of context before the refusal: the C line, the instruction and its registers are among them. */
const CONTEXT_LINES = 4;

/**
 * The refusal first, then what led to it. The log's last lines are statistics (`processed 12 insns …`); the line before
 * them is the reason.
 */
export function relevantLines(log: string): string[] {
  const lines = log.split("\n").filter((line) => line.trim() !== "" && !isStatistics(line));
  const reason = lines.at(-1);
  if (reason === undefined) return [];
  return [reason, ...lines.slice(-1 - CONTEXT_LINES, -1)];
}

function isStatistics(line: string): boolean {
  return /^(processed \d+ insns|verification time|stack depth|max_states_per_insn)/.test(line);
}
