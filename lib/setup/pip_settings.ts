/**
 * Hands the package index, proxy and certificates that the user's pip is configured with to uv, which
 * reads neither pip.conf nor PIP_*. They go into the child's environment only, never into a file:
 * such an address may hold a password.
 *
 * @module
 */

import { existsSync } from "node:fs";

/** pip's settings by their long option's name, as in `index-url`. */
export type PipSettings = Record<string, string>;

function words(value: string | undefined): string[] {
  return (value ?? "").split(/\s+/).filter((word) => word !== "");
}

/**
 * The environment that makes uv install from where pip would. What the user set for uv stays.
 *
 * @param pip pip's settings.
 * @param env The environment that uv would have.
 * @param exists Whether a file or folder is there.
 * @returns The variables to add.
 *
 * @example
 * ```ts
 * import { uvEnvironment } from "./pip_settings.ts";
 *
 * const env = uvEnvironment({ "index-url": "https://pypi.example/simple" }, {});
 * console.assert(env.UV_DEFAULT_INDEX === "https://pypi.example/simple");
 * ```
 */
export function uvEnvironment(
  pip: PipSettings,
  env: Record<string, string>,
  exists: (path: string) => boolean = existsSync,
): Record<string, string> {
  const added: Record<string, string> = {};
  const add = (names: string[], value: string | undefined) => {
    if (value && names.every((name) => !env[name])) added[names[0]!] = value;
  };
  add(["UV_DEFAULT_INDEX", "UV_INDEX_URL"], pip["index-url"]?.trim());
  const extra = words(pip["extra-index-url"]);
  add(["UV_INDEX", "UV_EXTRA_INDEX_URL"], extra.join(" "));
  // The locks hold hashes, so that it does not matter which index answers.
  if (extra.length > 0) add(["UV_INDEX_STRATEGY"], "unsafe-best-match");
  const links = words(pip["find-links"]).filter((link) =>
    /^[a-z]+:\/\//.test(link) || exists(link)
  );
  add(["UV_FIND_LINKS"], links.join(","));
  if (/^(1|true|yes|on)$/i.test(pip["no-index"] ?? "")) add(["UV_NO_INDEX"], "1");
  add(["UV_INSECURE_HOST"], words(pip["trusted-host"]).join(" "));
  add(["UV_HTTP_TIMEOUT"], pip["timeout"] ?? pip["default-timeout"]);
  if (pip["keyring-provider"] === "subprocess") add(["UV_KEYRING_PROVIDER"], "subprocess");
  add(["SSL_CLIENT_CERT"], pip["client-cert"]);
  add(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"], pip["proxy"]);
  add(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"], pip["proxy"]);
  // As pip: an own bundle where one is named, else what the system trusts.
  if (pip["cert"] && exists(pip["cert"])) added.SSL_CERT_FILE = pip["cert"];
  add(["UV_SYSTEM_CERTS", "UV_NATIVE_TLS"], "true");
  return added;
}
