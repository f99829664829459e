// test lane: checkout
import { deepStrictEqual as equal } from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tryCommand } from "./command.ts";
import { uvEnvironment } from "./pip_settings.ts";

const NATIVE = { UV_SYSTEM_CERTS: "true" };

Deno.test("uvEnvironment() trusts what the system trusts when pip is not configured", () => {
  equal(uvEnvironment({}, {}), NATIVE);
});

Deno.test("uvEnvironment() hands over index, links, certificates and proxy", () => {
  const pip = {
    "index-url": "https://user:secret@mirror.example/simple",
    "extra-index-url": "https://a.example/simple\nhttps://b.example/simple",
    "find-links": "/wheels /missing https://links.example/",
    "cert": "/etc/company.pem",
    "trusted-host": "mirror.example",
    "proxy": "http://proxy.example:3128",
    "default-timeout": "180",
  };
  equal(uvEnvironment(pip, {}, (path) => path !== "/missing"), {
    ...NATIVE,
    UV_DEFAULT_INDEX: "https://user:secret@mirror.example/simple",
    UV_INDEX: "https://a.example/simple https://b.example/simple",
    UV_INDEX_STRATEGY: "unsafe-best-match",
    UV_FIND_LINKS: "/wheels,https://links.example/",
    UV_INSECURE_HOST: "mirror.example",
    UV_HTTP_TIMEOUT: "180",
    HTTPS_PROXY: "http://proxy.example:3128",
    HTTP_PROXY: "http://proxy.example:3128",
    SSL_CERT_FILE: "/etc/company.pem",
  });
});

Deno.test("uvEnvironment() leaves alone what is set for uv itself", () => {
  const env = {
    UV_INDEX_URL: "https://own.example/simple",
    https_proxy: "http://own.example",
    UV_NATIVE_TLS: "false",
  };
  equal(uvEnvironment({ "index-url": "https://a.example/simple" }, env), {});
});

Deno.test("pip_config.py reads files and lets variables win", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "pip.conf");
    await Deno.writeTextFile(
      file,
      "[global]\nindex-url = https://file.example/simple\nextra-index-url =\n    https://a.example\n    https://b.example\n[install]\ntimeout = 7\n",
    );
    const script = fileURLToPath(new URL("./pip_config.py", import.meta.url));
    const read = async (env: Record<string, string | undefined>) => {
      const { stdout } = await tryCommand(["python3", script], { env });
      return JSON.parse(stdout);
    };
    const chosen = { PIP_CONFIG_FILE: file, PIP_INDEX_URL: undefined, PIP_TIMEOUT: undefined };
    const settings = await read(chosen);
    equal(settings["index-url"], "https://file.example/simple");
    equal(settings["extra-index-url"].split(/\s+/).filter(Boolean), [
      "https://a.example",
      "https://b.example",
    ]);
    equal(settings["timeout"], "7");
    const overridden = await read({ ...chosen, PIP_INDEX_URL: "https://env.example/simple" });
    equal(overridden["index-url"], "https://env.example/simple");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
