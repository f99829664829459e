/**
 * The part of the reader's environment that counts. Every process is started with one of the two
 * environments made here, and every client that reads variables by itself is made where it cannot.
 */

/** The variables of the reader's shell that count, and what they decide; docs show this table. */
export const READERS_VARIABLES: Readonly<Record<string, string>> = {
  "PATH": "where programs are found: Python, uv, PgBouncer, Git, Node.js",
  "HOME USER LOGNAME XDG_CONFIG_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR":
    "where package caches, pip's configuration, Docker's contexts and sockets are",
  "TMPDIR": "the folder for temporary files",
  "TERM NO_COLOR": "how progress is drawn",
  "DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS BROWSER":
    "the browser that `deno task lab` opens",
  "POOLSCOPE_PYTHON": "the Python that the virtual environment is made with",
  "POOLSCOPE_STAGING": "the folder for what PostgreSQL's user must reach, instead of `/var/tmp`",
  "POOLSCOPE_DEBIAN_MIRROR": "the mirror of Debian 13 that PgBouncer is from",
  "POOLSCOPE_TAG": "the tag of the Docker images, instead of `latest`",
  "POOLSCOPE_DEBUG": "`1` prints where an unexpected error comes from",
  "POSTGRES_IMAGE PYTHON_IMAGE DEBIAN_IMAGE": "the base images of the Docker images",
  "DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS DOCKER_TLS_VERIFY DOCKER_CERT_PATH":
    "where Docker is, as Docker itself reads them",
  "http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY":
    "proxies of package downloads and image builds; nothing else goes through them",
  "SSL_CERT_FILE SSL_CERT_DIR SSL_CLIENT_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS DENO_CERT DENO_TLS_CA_STORE":
    "certificates that downloads and image builds trust",
  "PIP_CONFIG_FILE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX PIP_TRUSTED_HOST PIP_PROXY PIP_CERT PIP_CLIENT_CERT PIP_KEYRING_PROVIDER PIP_TIMEOUT PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_CACHE_DIR PIP_NO_CACHE_DIR NETRC":
    "where Python packages come from, for pip and, as far as it has the same, for uv",
  "UV_DEFAULT_INDEX UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_INDEX_STRATEGY UV_FIND_LINKS UV_NO_INDEX UV_INSECURE_HOST UV_KEYRING_PROVIDER UV_HTTP_TIMEOUT UV_SYSTEM_CERTS UV_NATIVE_TLS UV_OFFLINE UV_CACHE_DIR":
    "the same for uv alone",
  "DENO_DIR DENO_AUTH_TOKENS NPM_CONFIG_REGISTRY": "where npm packages are kept and come from",
  "GOPROXY GOSUMDB GOPRIVATE GOFLAGS GOTOOLCHAIN GOCACHE GOMODCACHE CARGO_HOME RUSTUP_HOME":
    "where the build of an app of your own, in Go or Rust, finds what it needs",
  "npm_config_user_agent":
    "set by npx itself, from which `deno task doctor` knows that it needs Node.js",
};

function defined(values: [name: string, value: string | undefined][]): Record<string, string> {
  return Object.fromEntries(
    values.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The part of the reader's environment that counts, as it is now. */
export function readersEnvironment(): Record<string, string> {
  const names = Object.keys(READERS_VARIABLES).flatMap((names) => names.split(" "));
  return defined(names.map((name) => [name, Deno.env.get(name)]));
}

/** This machine's own addresses, as proxies' exceptions name them. */
const LOOPBACK = "localhost,127.0.0.1,::1";

/**
 * The environment of a tool, such as uv, Git or Jupyter: what counts of the reader's, an English
 * locale, and no proxy for this machine's own addresses. A variable that is added as undefined is removed.
 */
export function toolEnvironment(
  added: Record<string, string | undefined> = {},
): Record<string, string> {
  const readers = readersEnvironment();
  const exceptions = [readers.no_proxy ?? readers.NO_PROXY, LOOPBACK].filter(Boolean).join(",");
  const proxies = { no_proxy: exceptions, NO_PROXY: exceptions };
  return defined(Object.entries({ LANG: "C.UTF-8", ...readers, ...proxies, ...added }));
}

/** The environment of a service that is measured, or measures: nothing of the reader's. */
export function serviceEnvironment(
  home: string,
  added: Record<string, string> = {},
): Record<string, string> {
  return { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", HOME: home, ...added };
}

/**
 * Makes a client that takes whatever it is not told from the environment, with variables of a prefix such
 * as `PG` out of its sight; it must not wait.
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
