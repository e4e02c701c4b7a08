/**
 * First life of every child: confines itself as `argv[2]` says and becomes the program it was started for. Runs as the
 * supervisor's user, so it reads nothing but that argument. The IPC channel stays open over the execve; nothing may be sent
 * on it before the second life has spoken.
 */
import { confine } from "#sys/confine.ts";
import type { Confinement } from "#sys/confine.ts";
import { closeFromOnExec, setCloseOnExec } from "#sys/descriptors.ts";
import { asFd } from "#core/brands.ts";
import { defined } from "#core/assert.ts";

export interface Launch {
  readonly confinement: Confinement;
  /** The Node binary, its flags, the module and its arguments. */
  readonly file: string;
  readonly args: readonly string[];
  /** Descriptors 0 … `descriptors` − 1 go on to the second life. */
  readonly descriptors: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** Of node:child_process: the channel is the descriptor after the three standard ones. */
const CHANNEL = "3";

const launch = JSON.parse(defined(process.argv[2], "what to launch")) as Launch;
confine(launch.confinement);
for (let fd = 0; fd < launch.descriptors; fd++) setCloseOnExec(asFd(fd), false);
closeFromOnExec(launch.descriptors);
process.umask(0o077);
process.chdir("/");
process.execve?.(launch.file, [launch.file, ...launch.args], {
  ...launch.environment,
  NODE_CHANNEL_FD: CHANNEL,
  NODE_CHANNEL_SERIALIZATION_MODE: "advanced",
});
