/**
 * Hands the package index, proxy and certificates that the user's pip is configured with to uv, which
 * reads neither pip.conf nor PIP_*. They go into the child's environment only, never into a file: such an
 * address may hold a password.
 */

import { existsSync } from "node:fs";

/**
 * The variables that make uv install from where pip would. What the user set for uv stays.
 *
 * @param pip pip's settings by their long option's name, as in `index-url`.
 * @param env The environment that uv would have.
 */
export function uvEnvironment(
  pip: Record<string, string>,
  env: Record<string, string>,
  exists: (path: string) => boolean = existsSync,
): Record<string, string> {
  const words = (option: string) => (pip[option] ?? "").split(/\s+/).filter(Boolean);
  const extra = words("extra-index-url").join(" ");
  const links = words("find-links").filter((link) => /^[a-z]+:\/\//.test(link) || exists(link));
  const noIndex = /^(1|true|yes|on)$/i.test(pip["no-index"] ?? "");
  // Each with the names by which the user may have set it already; the first is the one to set.
  const variables: [string, string | undefined][] = [
    ["UV_DEFAULT_INDEX UV_INDEX_URL", pip["index-url"]?.trim()],
    ["UV_INDEX UV_EXTRA_INDEX_URL", extra],
    // The locks hold hashes, so that it does not matter which index answers.
    ["UV_INDEX_STRATEGY", extra && "unsafe-best-match"],
    ["UV_FIND_LINKS", links.join(",")],
    ["UV_NO_INDEX", noIndex ? "1" : ""],
    ["UV_INSECURE_HOST", words("trusted-host").join(" ")],
    ["UV_HTTP_TIMEOUT", pip["timeout"] ?? pip["default-timeout"]],
    ["UV_KEYRING_PROVIDER", pip["keyring-provider"] === "subprocess" ? "subprocess" : ""],
    ["SSL_CLIENT_CERT", pip["client-cert"]],
    ["HTTPS_PROXY https_proxy ALL_PROXY all_proxy", pip["proxy"]],
    ["HTTP_PROXY http_proxy ALL_PROXY all_proxy", pip["proxy"]],
    ["UV_SYSTEM_CERTS UV_NATIVE_TLS", "true"],
  ];
  const added: Record<string, string> = {};
  for (const [list, value] of variables) {
    const names = list.split(" ");
    if (value && names.every((name) => !env[name])) added[names[0]!] = value;
  }
  // As pip: an own bundle where one is named, else what the system trusts.
  if (pip["cert"] && exists(pip["cert"])) added.SSL_CERT_FILE = pip["cert"];
  return added;
}
