/**
 * Certificate authorities and certificates for tests, made by the `openssl` command. A folder of its own in the system's
 * temporary directory, removed by `dispose`.
 */
import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Issued {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
  /** SHA-256 of the certificate, hex. */
  readonly fingerprint: string;
}

export interface IssueOptions {
  /** `DNS:a.example`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly subject?: string;
  readonly kind?: "ecdsa" | "rsa";
  /** Both in days from now; negative: in the past. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

const DAY_MS = 86_400_000;

export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), "penstock-certificates-"));
  readonly certificate: string;
  readonly certificateFile: string;
  #issued = 0;

  constructor(subject = "/CN=Penstock test authority") {
    this.certificateFile = join(this.folder, "ca.pem");
    const key = join(this.folder, "ca.key");
    run([
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      key,
      "-out",
      this.certificateFile,
      "-days",
      "30",
      "-subj",
      subject,
    ]);
    this.certificate = readFileSync(this.certificateFile, "utf8");
  }

  issue(options: IssueOptions = {}): Issued {
    const at = join(this.folder, `${this.#issued++}`);
    const keyFile = `${at}.key`;
    const certificateFile = `${at}.pem`;
    const algorithm =
      options.kind === "rsa" ? ["-newkey", "rsa:2048"] : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    run([
      "req",
      ...algorithm,
      "-nodes",
      "-keyout",
      keyFile,
      "-out",
      `${at}.csr`,
      "-subj",
      options.subject ?? "/CN=test",
    ]);
    const names = options.names ?? ["DNS:a.example"];
    writeFileSync(
      `${at}.ext`,
      `${names.length === 0 ? "" : `subjectAltName=${names.join(",")}\n`}basicConstraints=CA:FALSE\n`,
    );
    const from = new Date(Date.now() + (options.notBefore ?? -1) * DAY_MS);
    const to = new Date(Date.now() + (options.notAfter ?? 20) * DAY_MS);
    this.#sign(at, from, to);
    const certificate = readFileSync(certificateFile, "utf8");
    return {
      certificate,
      key: readFileSync(keyFile, "utf8"),
      certificateFile,
      keyFile,
      fingerprint: fingerprintOf(certificate),
    };
  }

  /** `openssl ca` is the only command that takes dates of the past. */
  #sign(at: string, from: Date, to: Date): void {
    const config = `${at}.cnf`;
    writeFileSync(`${at}.index`, "");
    writeFileSync(
      config,
      `[ca]\ndefault_ca=one\n[one]\ndatabase=${at}.index\nnew_certs_dir=${this.folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=optional\norganizationName=optional\n`,
    );
    run([
      "ca",
      "-batch",
      "-preserveDN",
      "-config",
      config,
      "-cert",
      this.certificateFile,
      "-keyfile",
      join(this.folder, "ca.key"),
      "-in",
      `${at}.csr`,
      "-out",
      `${at}.pem`,
      "-notext",
      "-startdate",
      date(from),
      "-enddate",
      date(to),
      "-extfile",
      `${at}.ext`,
    ]);
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function fingerprintOf(pem: string): string {
  return createHash("sha256").update(new X509Certificate(pem).raw).digest("hex");
}

/** `20261122120000Z` */
function date(value: Date): string {
  return `${value.toISOString().replaceAll(/[-:T]/g, "").slice(0, 14)}Z`;
}

function run(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}
