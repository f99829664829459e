// test lane: docker
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { PassThrough } from "node:stream";
import { join } from "node:path";
import { parse } from "yaml";
import { readApp } from "../apps/app.ts";
import { FRAMEWORKS } from "../plan.ts";
import { ROOT } from "../store/layout.ts";
import { dockerForTests } from "../testing/docker.ts";
import { hashContext, packContext, readContext } from "../setup/build_context.ts";
import { buildImage, findImage } from "../hosts/docker/build_image.ts";
import { BASES, ensureImages, findCaBundle, imagesOf } from "../services/images.ts";

const docker = await dockerForTests("building images");

const read = (...path: string[]) => Deno.readTextFileSync(join(ROOT, ...path));
const text = (content: string) => ({
  content: new TextEncoder().encode(content),
  executable: false,
  link: false,
});

Deno.test("an app's Dockerfile and its app.json have the same command", () => {
  for (const framework of FRAMEWORKS) {
    const dockerfile = read("apps", `${framework}_app`, "Dockerfile");
    const command = /^CMD (.*)$/m.exec(dockerfile)?.[1] ?? "";
    deepEqual(JSON.parse(command), readApp(framework).command);
  }
});

Deno.test("compose.yml builds the images that imagesOf() describes, on the same bases", () => {
  const { services } = parse(read("compose", "compose.yml"), { merge: true });
  const images = imagesOf(FRAMEWORKS.map((name) => readApp(name)));
  deepEqual(Object.keys(services).sort(), Object.keys(images).sort());
  for (const [name, { context, dockerfile, base, files }] of Object.entries(images)) {
    const { build, image } = services[name];
    equal(image, `poolscope/${name}:\${POOLSCOPE_TAG:-latest}`);
    equal(join("compose", build.context), context === "" ? "." : context, name);
    equal(build.dockerfile ?? "Dockerfile", dockerfile, name);
    deepEqual(build.args, { [base!]: `\${${base}:-${BASES[base!]}}` }, name);
    // Plain Compose sends what is copied; here it is named, and must be the same.
    const copied = [...read(context, dockerfile).matchAll(/^COPY (?!--from)(.*) \S+$/gm)]
      .flatMap((copy) => copy[1]!.split(" ")).filter((path) => path !== "ca-bundle.cr[t]");
    for (const path of copied) {
      ok(files.some((file) => path === file || path.startsWith(`${file}/`)), `${name}: ${path}`);
    }
  }
});

Deno.test("compose/.env and the compose files have the same variables and defaults", () => {
  const used = new Map(
    ["compose.yml", "compose.pooled.yml"]
      .flatMap((file) => [...read("compose", file).matchAll(/\$\{(\w+):-([^}]*)\}/g)])
      .map(([, name, value]) => [name!, value!]),
  );
  const documented = new Map(
    [...read("compose", ".env").matchAll(/^(\w+)=(.*)$/gm)]
      .map(([, name, value]) => [name!, value!]),
  );
  deepEqual([...documented.keys()].sort(), [...used.keys()].sort());
  // Empty is the app's own default, which differs between the apps.
  used.set("REUSE", "");
  for (const [name, value] of documented) equal(value, used.get(name), name);
});

Deno.test("findCaBundle() takes the most specific file that is there", async () => {
  const file = await Deno.makeTempFile();
  try {
    equal(findCaBundle({ SSL_CERT_FILE: file, PIP_CERT: "/nowhere/ca.crt" }), file);
    equal(findCaBundle({ SSL_CERT_FILE: "/nowhere/ca.crt" }), null);
    equal(findCaBundle({}), null);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a context's bytes depend on names, contents and what is a program, and on nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const write = (name: string, mode: number) => {
      Deno.writeTextFileSync(join(folder, name), "content");
      Deno.chmodSync(join(folder, name), mode);
    };
    Deno.mkdirSync(join(folder, "a", "__pycache__"), { recursive: true });
    write("a/one", 0o644);
    write("a/__pycache__/one.pyc", 0o644);
    const first = readContext(folder, ["a"]);
    deepEqual(first.map((file) => file.name), ["a/one"]);
    write("a/one", 0o600);
    Deno.utimeSync(join(folder, "a/one"), 1, 1);
    const again = readContext(folder, ["a"]);
    equal(hashContext(again), hashContext(first));
    deepEqual(await packContext(again), await packContext(first));
    write("a/one", 0o755);
    ok(hashContext(readContext(folder, ["a"])) !== hashContext(first));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "ensureImages() finds everything the second time, and no certificates are in an image",
  ignore: docker.skipped,
  fn: async () => {
    const { docker: api } = docker.open();
    await ensureImages(api, {});
    const begun = performance.now();
    const images = await ensureImages(api, { log: (line) => ok(false, line) });
    ok(performance.now() - begun < 10_000);
    for (const [name, { id, baseId, built }] of Object.entries(images)) {
      equal(built, false);
      match(id, /^sha256:[0-9a-f]{64}$/);
      match(baseId, /^sha256:[0-9a-f]{64}$/);
      const container = await api.createContainer({ Image: id });
      try {
        for (const path of ["/build", "/build/ca-bundle.crt"]) {
          await rejects(container.getArchive({ path }), { statusCode: 404 }, `${name} ${path}`);
        }
      } finally {
        await container.remove({ v: true });
      }
      const history = await api.getImage(id).history();
      ok(!JSON.stringify(history).includes("ca-bundle"), name);
    }
  },
});

Deno.test({
  name: "buildImage() names the step that failed and its last words, and leaves no image",
  ignore: docker.skipped,
  fn: async () => {
    const { docker: api } = docker.open();
    const { postgres } = await ensureImages(api, {});
    const reference = `poolscope/test-failing:${Deno.pid}`;
    const dockerfile = [
      `FROM ${postgres!.reference}`,
      `LABEL test=${Deno.pid}`,
      "RUN echo first; echo no such package; exit 7",
    ];
    const files = [{ name: "Dockerfile", ...text(dockerfile.join("\n")) }];
    await rejects(
      buildImage(api, { name: "test", reference, files, dockerfile: "Dockerfile" }),
      {
        name: "PoolscopeError",
        message: "Cannot build the image test: step 3/3 (RUN echo first; echo no such package; " +
          "exit 7) failed: first / no such package (exit status 7)",
      },
    );
    equal(await findImage(api, reference), null);
    const label = [`test=${Deno.pid}`];
    deepEqual(await api.listImages({ all: true, filters: { label } }), []);
    ok(await findImage(api, postgres!.id) !== null, "the base stays");
  },
});

Deno.test({
  name: "a base that cannot be had is one line that says what to do",
  ignore: docker.skipped,
  fn: async () => {
    const { docker: api } = docker.open();
    Deno.env.set("POSTGRES_IMAGE", "127.0.0.1:9/poolscope/none:16");
    try {
      await rejects(ensureImages(api, { tag: `test-${Deno.pid}`, offline: false }), {
        name: "PoolscopeError",
        message: /^Cannot pull \S+: [^\n]+; without a registry, run: deno task images --offline$/,
      });
    } finally {
      Deno.env.delete("POSTGRES_IMAGE");
    }
  },
});

Deno.test({
  name: "PgBouncer's image ends with one line when a setting has no value",
  ignore: docker.skipped,
  fn: async () => {
    const { docker: api } = docker.open();
    const { pgbouncer } = await ensureImages(api, {});
    const output = new PassThrough();
    let said = "";
    output.on("data", (chunk) => said += chunk);
    const [{ StatusCode }, container] = await api.run(pgbouncer!.id, [], output, {
      Env: ["DB_NAME=app"],
    });
    await container.remove({ v: true });
    ok(StatusCode !== 0);
    match(said, /^Cannot fill \S*pgbouncer\.ini: DB_HOST has no value\s*$/);
  },
});
