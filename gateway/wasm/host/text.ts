/** Checks over text that guests put into messages of the gateway's own. */

/** RFC 9110 section 5.5: visible characters, obs-text, spaces and tabs inside. */
export function isFieldValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false;
  }
  return value === value.trim();
}

/** RFC 9110 section 5.6.2, in lower case. */
export function isLowerCaseToken(text: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/.test(text);
}

/** Visible ASCII, beginning with a slash: what can stand in a request line (RFC 9112 section 3.2.1). */
export function isOriginForm(path: string): boolean {
  return /^\/[\x21-\x22\x24-\x7e]*$/.test(path);
}
