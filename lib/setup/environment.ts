/**
 * What of the reader's environment counts: the variables of {@linkcode READERS_VARIABLES} and no
 * other. Every process is started with one of the two environments made here, and every client that
 * reads variables by itself is made where it cannot see them.
 *
 * @module
 */

/** Variables of one purpose. */
export interface ReadersVariables {
  /** Their names. */
  names: readonly string[];
  /** What they decide, as docs/environment.md says it. */
  purpose: string;
}

/** The variables of the reader's shell that count; docs/environment.md is made of this list. */
export const READERS_VARIABLES: readonly ReadersVariables[] = [
  { names: ["PATH"], purpose: "where programs are found: Python, uv, PgBouncer, Git, Node.js" },
  {
    names: ["HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"],
    purpose: "where package caches, pip's configuration, Docker's contexts and sockets are",
  },
  { names: ["TMPDIR"], purpose: "the folder for temporary files" },
  { names: ["TERM", "NO_COLOR"], purpose: "how progress is drawn" },
  {
    names: ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "BROWSER"],
    purpose: "the browser that `deno task lab` opens",
  },
  { names: ["POOLSCOPE_PYTHON"], purpose: "the Python that the virtual environment is made with" },
  {
    names: ["POOLSCOPE_STAGING"],
    purpose: "the folder for what PostgreSQL's user must reach, instead of `/var/tmp`",
  },
  { names: ["POOLSCOPE_DEBIAN_MIRROR"], purpose: "the mirror of Debian 13 that PgBouncer is from" },
  { names: ["POOLSCOPE_TAG"], purpose: "the tag of the Docker images, instead of `latest`" },
  { names: ["POOLSCOPE_DEBUG"], purpose: "`1` prints where an unexpected error comes from" },
  {
    names: ["POSTGRES_IMAGE", "PYTHON_IMAGE", "DEBIAN_IMAGE"],
    purpose: "the base images of the Docker images",
  },
  {
    names: [
      "DOCKER_HOST",
      "DOCKER_CONTEXT",
      "DOCKER_CONFIG",
      "DOCKER_TLS",
      "DOCKER_TLS_VERIFY",
      "DOCKER_CERT_PATH",
    ],
    purpose: "where Docker is, as Docker itself reads them",
  },
  {
    names: [
      "http_proxy",
      "https_proxy",
      "all_proxy",
      "no_proxy",
      "HTTP_PROXY",
      "HTTPS_PROXY",
      "ALL_PROXY",
      "NO_PROXY",
    ],
    purpose: "proxies of package downloads and image builds; nothing else goes through them",
  },
  {
    names: [
      "SSL_CERT_FILE",
      "SSL_CERT_DIR",
      "SSL_CLIENT_CERT",
      "REQUESTS_CA_BUNDLE",
      "CURL_CA_BUNDLE",
      "NODE_EXTRA_CA_CERTS",
      "DENO_CERT",
      "DENO_TLS_CA_STORE",
    ],
    purpose: "certificates that downloads and image builds trust",
  },
  {
    names: [
      "PIP_CONFIG_FILE",
      "PIP_INDEX_URL",
      "PIP_EXTRA_INDEX_URL",
      "PIP_FIND_LINKS",
      "PIP_NO_INDEX",
      "PIP_TRUSTED_HOST",
      "PIP_PROXY",
      "PIP_CERT",
      "PIP_CLIENT_CERT",
      "PIP_KEYRING_PROVIDER",
      "PIP_TIMEOUT",
      "PIP_DEFAULT_TIMEOUT",
      "PIP_RETRIES",
      "PIP_CACHE_DIR",
      "PIP_NO_CACHE_DIR",
      "NETRC",
    ],
    purpose: "where Python packages come from, for pip and, as far as it has the same, for uv",
  },
  {
    names: [
      "UV_DEFAULT_INDEX",
      "UV_INDEX",
      "UV_INDEX_URL",
      "UV_EXTRA_INDEX_URL",
      "UV_INDEX_STRATEGY",
      "UV_FIND_LINKS",
      "UV_NO_INDEX",
      "UV_INSECURE_HOST",
      "UV_KEYRING_PROVIDER",
      "UV_HTTP_TIMEOUT",
      "UV_SYSTEM_CERTS",
      "UV_NATIVE_TLS",
      "UV_OFFLINE",
      "UV_CACHE_DIR",
    ],
    purpose: "the same for uv alone",
  },
  {
    names: ["DENO_DIR", "DENO_AUTH_TOKENS", "NPM_CONFIG_REGISTRY"],
    purpose: "where npm packages are kept and come from",
  },
  {
    names: [
      "GOPROXY",
      "GOSUMDB",
      "GOPRIVATE",
      "GOFLAGS",
      "GOTOOLCHAIN",
      "GOCACHE",
      "GOMODCACHE",
      "CARGO_HOME",
      "RUSTUP_HOME",
    ],
    purpose: "where the build of an app of your own, in Go or Rust, finds what it needs",
  },
  {
    names: ["npm_config_user_agent"],
    purpose: "set by npx itself, from which `deno task doctor` knows that it needs Node.js",
  },
];

/** Whatever of the reader's environment counts, as it is now. */
export function readersEnvironment(): Record<string, string> {
  const entries = READERS_VARIABLES.flatMap(({ names }) => names)
    .map((name) => [name, Deno.env.get(name)] as const)
    .filter((entry): entry is readonly [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries);
}

/** This machine's own addresses, as proxies' exceptions name them. */
const LOOPBACK = "localhost,127.0.0.1,::1";

/**
 * The environment of a tool, such as uv, Git or Jupyter: what counts of the reader's, an English
 * locale, and no proxy for this machine's own addresses.
 *
 * @param added Variables to add; `undefined` removes one.
 *
 * @example
 * ```ts
 * import { toolEnvironment } from "./environment.ts";
 *
 * const { PATH, PGPORT } = toolEnvironment({ PGPORT: "5433" });
 * console.assert(PATH === Deno.env.get("PATH") && PGPORT === "5433");
 * ```
 */
export function toolEnvironment(
  added: Record<string, string | undefined> = {},
): Record<string, string> {
  const readers = readersEnvironment();
  const exceptions = [readers.no_proxy ?? readers.NO_PROXY, LOOPBACK].filter(Boolean).join(",");
  const whole = {
    LANG: "C.UTF-8",
    ...readers,
    no_proxy: exceptions,
    NO_PROXY: exceptions,
    ...added,
  };
  return Object.fromEntries(
    Object.entries(whole).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/**
 * The environment of a service that is measured, or measures: nothing of the reader's.
 *
 * @param home Its home folder, which nothing else uses.
 * @param added Variables to add.
 */
export function serviceEnvironment(
  home: string,
  added: Record<string, string> = {},
): Record<string, string> {
  return { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", HOME: home, ...added };
}

/**
 * Makes a client that takes whatever it is not told from the environment, with those variables out
 * of its sight; afterwards they are as they were.
 *
 * @param prefix How the variables' names begin, as in `PG`.
 * @param make Makes the client; it must not wait.
 */
export function withoutVariables<T>(prefix: string, make: () => T): T {
  const hidden = Object.entries(Deno.env.toObject()).filter(([name]) => name.startsWith(prefix));
  for (const [name] of hidden) Deno.env.delete(name);
  try {
    return make();
  } finally {
    for (const [name, value] of hidden) Deno.env.set(name, value);
  }
}
