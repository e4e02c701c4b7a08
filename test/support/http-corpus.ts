/**
 * The corpus of hostile HTTP/1.1 requests, `test/corpus/http1/`: one request a file, byte for byte as it is on the wire.
 *
 *     <group>-<what>.expect.<status>.http
 *
 * The status is what a gateway with the default limits must answer; 200 in `…-valid-…` stands for "forwarded, and the
 * upstream says 200". Every file is whole enough to be answered without another byte. In `chunk-…` the head is valid and
 * the fault is in the body. A request that a fuzzer finds to be misread becomes a file here.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface CorpusRequest {
  readonly name: string;
  readonly bytes: Buffer;
  readonly status: number;
}

const DIRECTORY = join(import.meta.dirname, "..", "corpus", "http1");
const NAME = /^(?:chunk|framing|header|host|limit|line|target|version)-[a-z0-9-]+\.expect\.(\d{3})\.http$/;

export function corpus(): CorpusRequest[] {
  return readdirSync(DIRECTORY)
    .sort()
    .map((file) => {
      const status = NAME.exec(file)?.[1];
      if (status === undefined) throw new Error(`${file} is not named as the corpus is`);
      return {
        name: file.replace(/\.expect\..*/, ""),
        bytes: readFileSync(join(DIRECTORY, file)),
        status: Number(status),
      };
    });
}
