/**
 * A shell that has everything set which could lead a study astray: each value either breaks whoever
 * obeys it, or changes what is measured.
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { readersEnvironment } from "../setup/environment.ts";

/** Port 9 answers nobody here; 192.0.2.1 is reserved for documentation. */
const DEAD_PROXY = "http://127.0.0.1:9";

/** Those of libpq, and of the driver that Poolscope uses, which makes more of the same kind. */
const POSTGRES = {
  PGHOST: "192.0.2.1",
  PGHOSTADDR: "192.0.2.1",
  PGPORT: "9",
  PGDATABASE: "elsewhere",
  PGUSER: "nobody",
  PGUSERNAME: "nobody",
  PGPASSWORD: "wrong",
  PGPASSFILE: "/nonexistent/pgpass",
  PGREQUIREAUTH: "none",
  PGCHANNELBINDING: "require",
  PGSERVICE: "elsewhere",
  PGSERVICEFILE: "/nonexistent/pg_service.conf",
  PGOPTIONS: "-c default_transaction_read_only=on",
  PGAPPNAME: "hostile",
  PGSSL: "require",
  PGSSLMODE: "verify-full",
  PGREQUIRESSL: "1",
  PGSSLNEGOTIATION: "direct",
  PGSSLCERT: "/nonexistent/cert.pem",
  PGSSLKEY: "/nonexistent/key.pem",
  PGSSLCERTMODE: "require",
  PGSSLROOTCERT: "/nonexistent/root.pem",
  PGSSLCRL: "/nonexistent/crl.pem",
  PGSSLCRLDIR: "/nonexistent",
  PGSSLSNI: "0",
  PGREQUIREPEER: "nobody",
  PGSSLMINPROTOCOLVERSION: "TLSv1.3",
  PGSSLMAXPROTOCOLVERSION: "TLSv1",
  PGGSSENCMODE: "require",
  PGKRBSRVNAME: "nobody",
  PGGSSLIB: "gssapi",
  PGGSSDELEGATION: "1",
  PGCONNECT_TIMEOUT: "1",
  PGCLIENTENCODING: "LATIN5",
  PGTARGETSESSIONATTRS: "read-write",
  PGLOADBALANCEHOSTS: "random",
  PGDATESTYLE: "German",
  PGTZ: "Pacific/Chatham",
  PGGEQO: "off",
  PGSYSCONFDIR: "/nonexistent",
  PGLOCALEDIR: "/nonexistent",
  PGDATA: "/nonexistent",
  PGPREPARE: "off",
  PGFETCH_TYPES: "on",
  PGMAX: "0",
};

const PYTHON = {
  PYTHONHOME: "/nonexistent",
  PYTHONWARNINGS: "error",
  PYTHONOPTIMIZE: "2",
  PYTHONUTF8: "0",
  PYTHONIOENCODING: "ascii",
  PYTHONUSERBASE: "/nonexistent",
  VIRTUAL_ENV: "/nonexistent",
  JUPYTER_PATH: "/nonexistent",
  JUPYTER_CONFIG_DIR: "/nonexistent",
  JUPYTER_DATA_DIR: "/nonexistent",
  JUPYTER_RUNTIME_DIR: "/nonexistent",
  IPYTHONDIR: "/nonexistent",
};

/** What the apps' servers, the apps, Locust and Compose's file take settings from. */
const SERVICES = {
  LOCUST_HOST: "http://192.0.2.1",
  LOCUST_USERS: "1",
  LOCUST_RUN_TIME: "1s",
  LOCUST_LOCUSTFILE: "/nonexistent/locustfile.py",
  LOCUST_CONFIG: "/nonexistent/locust.conf",
  LOCUST_LOGLEVEL: "CRITICAL",
  GUNICORN_CMD_ARGS: "--workers 7 --bind 127.0.0.1:9 --user nobody",
  UVICORN_PORT: "9",
  UVICORN_WORKERS: "7",
  UVICORN_RELOAD: "1",
  UVICORN_UDS: "/nonexistent/uvicorn.sock",
  WEB_CONCURRENCY: "7",
  DJANGO_SETTINGS_MODULE: "elsewhere.settings",
  FLASK_APP: "elsewhere",
  FLASK_DEBUG: "1",
  FLASK_RUN_PORT: "9",
  DATABASE_URL: "postgres://nobody:wrong@192.0.2.1:9/elsewhere",
  DB_HOST: "192.0.2.1",
  DB_PORT: "9",
  DB_POOL_SIZE: "1",
  MAX_CONNECTIONS: "1",
  POOL_MODE: "statement",
  WORKERS: "7",
  APP_NONCE: "hostile",
};

const SYSTEM = {
  http_proxy: DEAD_PROXY,
  https_proxy: DEAD_PROXY,
  all_proxy: DEAD_PROXY,
  HTTP_PROXY: DEAD_PROXY,
  HTTPS_PROXY: DEAD_PROXY,
  ALL_PROXY: DEAD_PROXY,
  NODE_USE_ENV_PROXY: "1",
  NODE_ENV: "production",
  NODE_PATH: "/nonexistent",
  NODE_OPTIONS: "--no-warnings",
  npm_config_loglevel: "silly",
  npm_config_offline: "true",
  NPM_CONFIG_LOGLEVEL: "silly",
  GIT_DIR: "/nonexistent",
  TZ: "Pacific/Chatham",
};

/** Folders below a home that hold downloaded packages and nothing else. */
const PACKAGE_CACHES = [".cache/deno", ".cache/pip", ".cache/uv", ".npm"];

function hasLocale(name: string): boolean {
  const { stdout } = new Deno.Command("locale", { args: ["-a"] }).outputSync();
  return new TextDecoder().decode(stdout).toLowerCase().split("\n").includes(name);
}

/** The shell, with an empty home, until it is disposed of. */
export class HostileShell implements Disposable {
  #folder = mkdtempSync(join(tmpdir(), "poolscope-hostile-"));
  readonly home: string = join(this.#folder, "home");
  /** The whole environment. */
  readonly env: Record<string, string>;

  constructor() {
    const python = join(this.#folder, "python");
    for (const folder of [this.home, python]) mkdirSync(folder);
    // Whoever looks here for modules ends at once.
    const ends = 'raise SystemExit("a module of the reader\'s was loaded")\n';
    for (const name of ["sitecustomize.py", "json.py"]) writeFileSync(join(python, name), ends);
    const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(homedir(), ".cache");
    this.env = {
      ...readersEnvironment(),
      ...POSTGRES,
      ...PYTHON,
      ...SERVICES,
      ...SYSTEM,
      PYTHONPATH: python,
      PYTHONSTARTUP: join(python, "json.py"),
      HOME: this.home,
      DENO_DIR: Deno.env.get("DENO_DIR") ?? join(cache, "deno"),
      NO_COLOR: "1",
      ...(hasLocale("tr_tr.utf8") ? { LC_ALL: "tr_TR.UTF-8" } : {}),
    };
  }

  /** Files in the home by now, but for packages that were downloaded. */
  homeFiles(): string[] {
    return (readdirSync(this.home, { recursive: true }) as string[])
      .filter((path) =>
        !PACKAGE_CACHES.some((cache) =>
          `${path}/`.startsWith(`${cache}/`) || `${cache}/`.startsWith(`${path}/`)
        )
      );
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
