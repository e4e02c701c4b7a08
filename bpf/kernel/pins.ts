/**
 * Links and maps kept alive by name in a bpffs, so that they outlive the process: a gateway that is killed goes on
 * filtering and counting, and the next one takes over without a packet that meets no program.
 *
 *     ROOT/            a bpffs that the caller names, never made or mounted here
 *       v1/            one folder for each version of the layouts: what another version left is seen, and left alone
 *         maps/NAME
 *         links/NAME
 *
 * To take over: open the maps, load programs over them, open the link, `link.update(program, null)`. Where there is no
 * link, attach and pin. Objects that are opened here are further descriptors, the caller's to close; pins hold objects
 * whoever closes what.
 */
import fs from "node:fs";
import path from "node:path";
import { asFd, type Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { ENOENT } from "#core/errno.ts";
import { BPF, bpfCall, putPointer } from "#sys/bpf.ts";
import { callError, mustCall } from "./call.ts";
import { Link } from "./link.ts";
import { BpfMap } from "./map.ts";

/** linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;
/** Pins are made under this name and then moved: whoever reads sees the old one or the new one. */
const UNFINISHED = "~";
/** Attachment rights for whoever can open a link, so for the owner alone. */
const MODE = 0o700;

type Kind = "maps" | "links";

export class PinFolder {
  readonly #root: string;
  readonly #directory: string;

  /**
   * `version`: of the layouts of maps; a new one whenever they change. Makes its folder where it is missing. Throws
   * PENSTOCK_BPF_UNAVAILABLE when `root` is no bpffs, or not ours to write.
   */
  constructor(root: string, version: number) {
    this.#root = root;
    this.#directory = path.join(root, `v${version}`);
    try {
      if (fs.statfsSync(root).type !== BPF_FS_MAGIC) throw new Error("not a bpf file system");
      for (const kind of ["maps", "links"] as const) {
        fs.mkdirSync(path.join(this.#directory, kind), { recursive: true, mode: MODE });
        for (const file of this.#files(kind)) if (file.endsWith(UNFINISHED)) fs.unlinkSync(this.#place(kind, file));
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw bpfError("PENSTOCK_BPF_UNAVAILABLE", { detail: `pinning under ${root}: ${reason}`, cause: error });
    }
  }

  /** Takes the place of what has that name. Throws PENSTOCK_BPF_CALL. */
  pinMap(name: string, map: BpfMap): void {
    this.#pin("maps", name, map.fd);
  }

  /** The same. The program stays attached when the last descriptor has gone, until `unpin` or `Link.detach`. */
  pinLink(name: string, link: Link): void {
    this.#pin("links", name, link.fd);
  }

  /** Null when there is none of that name. Whether its shape is right, loading programs over it shows. */
  map(name: string): BpfMap | null {
    const fd = this.#open("maps", name);
    return fd === null ? null : BpfMap.adopt(fd);
  }

  /** Null when there is none of that name. It may be on a device that has gone: see `LinkInfo.interfaceIndex`. */
  link(name: string): Link | null {
    const fd = this.#open("links", name);
    return fd === null ? null : Link.fromFd(fd, name);
  }

  names(kind: Kind): string[] {
    return this.#files(kind)
      .map((file) => decodeURIComponent(file))
      .toSorted();
  }

  /** False when it was not there. The object goes with its last holder. */
  unpin(kind: Kind, name: string): boolean {
    const file = this.#place(kind, fileName(name));
    if (!fs.existsSync(file)) return false;
    fs.unlinkSync(file);
    return true;
  }

  /** Folders of other versions, as paths: for reports, and for whoever may decide to remove them. */
  otherVersions(): string[] {
    return fs
      .readdirSync(this.#root)
      .filter((name) => /^v\d+$/.test(name))
      .map((name) => path.join(this.#root, name))
      .filter((directory) => directory !== this.#directory)
      .toSorted();
  }

  /** Lets go of everything that is pinned here, and of the folder. Programs are taken off as their links go. */
  remove(): void {
    for (const kind of ["links", "maps"] as const) {
      for (const file of this.#files(kind)) fs.unlinkSync(this.#place(kind, file));
      fs.rmdirSync(path.join(this.#directory, kind));
    }
    fs.rmdirSync(this.#directory);
  }

  #files(kind: Kind): string[] {
    return fs.readdirSync(path.join(this.#directory, kind));
  }

  #place(kind: Kind, file: string): string {
    return path.join(this.#directory, kind, file);
  }

  #pin(kind: Kind, name: string, fd: Fd): void {
    const file = this.#place(kind, fileName(name));
    const unfinished = `${file}${UNFINISHED}`;
    const { attr, text } = pathAttribute(unfinished);
    attr.writeUInt32LE(fd, 8);
    mustCall(BPF.OBJ_PIN, attr, `obj_pin ${text.toString("utf8", 0, text.length - 1)}`);
    fs.renameSync(unfinished, file);
  }

  #open(kind: Kind, name: string): Fd | null {
    const { attr, text } = pathAttribute(this.#place(kind, fileName(name)));
    const result = bpfCall(BPF.OBJ_GET, attr);
    if (result === -ENOENT) return null;
    if (result < 0) throw callError(`obj_get ${text.toString("utf8", 0, text.length - 1)}`, -result);
    return asFd(result);
  }
}

/** `text` holds the path: keep it until the call is made. */
function pathAttribute(file: string): { readonly attr: Buffer; readonly text: Buffer } {
  const attr = Buffer.alloc(20);
  const text = Buffer.from(`${file}\0`, "utf8");
  putPointer(attr, 0, text);
  return { attr, text };
}

/** The kernel reserves dots in a bpffs, and our own mark is a tilde; names of devices and cgroups have both, and slashes. */
function fileName(name: string): string {
  return encodeURIComponent(name).replaceAll(".", "%2E").replaceAll("~", "%7E");
}
