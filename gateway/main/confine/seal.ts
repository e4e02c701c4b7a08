/** Loaded by `--import` before a child's own program: from here on the process can execute nothing, on any thread. */
import { sealProcess } from "#sys/confine.ts";

sealProcess();
