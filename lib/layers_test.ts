// test lane: checkout
import { deepEqual, equal, ok } from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const LIB = fileURLToPath(new URL(".", import.meta.url));

/** What a layer may import besides itself; the order of the design, tasks first. */
const MEASURING = ["setup", "hosts", "services", "load", "engine", "telemetry", "verify"];
const RECORDS = [
  "bottlenecks.ts",
  "server_settings.ts",
  "settings.ts",
  "scenario.ts",
  "connections.ts",
  "plan.ts",
  "nearest.ts",
  "errors.ts",
  "json.ts",
  "apps",
  "store",
];
const ANALYSIS = ["report", "figures", "diagnose", "wording", "stats", "frames"];
const MAY_IMPORT: Record<string, string[]> = {
  store: ["settings.ts", "scenario.ts", "plan.ts", "json.ts", "nearest.ts", "errors.ts"],
  frames: RECORDS,
  stats: ["frames", ...RECORDS],
  wording: ["stats", "frames", ...RECORDS],
  diagnose: ["wording", "stats", "frames", ...RECORDS],
  figures: ["diagnose", "wording", "stats", "frames", ...RECORDS],
  report: ["figures", "diagnose", "wording", "stats", "frames", ...RECORDS],
  setup: RECORDS,
  hosts: ["setup", ...RECORDS],
  services: ["hosts", "setup", ...RECORDS],
  load: ["frames", "hosts", ...RECORDS],
  engine: ["load", "services", "hosts", "setup", ...RECORDS],
  telemetry: ["engine", "services", "hosts", ...RECORDS],
  verify: ["telemetry", "engine", "services", "hosts", ...RECORDS],
  doctor: ["services", "hosts", "setup", ...RECORDS],
  views: ["wording", ...RECORDS],
  notebooks: ["hosts", "setup", "views", "wording", ...RECORDS],
  "groups.ts": ["stats", ...RECORDS],
  "run_record.ts": ["groups.ts", ...MEASURING, ...ANALYSIS, ...RECORDS],
  "run_group.ts": ["run_record.ts", "groups.ts", ...MEASURING, ...ANALYSIS, ...RECORDS],
  "run_load.ts": ["doctor", ...MEASURING, ...RECORDS],
  "run_study.ts": [
    "run_group.ts",
    "run_record.ts",
    "groups.ts",
    "notebooks",
    "doctor",
    ...MEASURING,
    ...ANALYSIS,
    ...RECORDS,
  ],
  "export_study.ts": ["hosts", "setup", "notebooks", "report", ...RECORDS],
  "server_settings.ts": ["errors.ts"],
  "settings.ts": ["server_settings.ts"],
  "scenario.ts": ["server_settings.ts", "settings.ts", "apps", "nearest.ts", "errors.ts"],
  "connections.ts": ["scenario.ts", "apps"],
  "named_plans.ts": ["plan.ts", "scenario.ts"],
  "plan.ts": [
    "named_plans.ts",
    "scenario.ts",
    "apps",
    "json.ts",
    "nearest.ts",
    "errors.ts",
  ],
  "nearest.ts": ["errors.ts"],
  apps: ["bottlenecks.ts", "settings.ts", "nearest.ts", "json.ts", "errors.ts"],
  "bottlenecks.ts": [],
  "json.ts": ["nearest.ts", "errors.ts"],
  "errors.ts": [],
};

function sources(folder = LIB): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    // What only tests use may look at everything.
    if (statSync(path).isDirectory()) return name === "testing" ? [] : sources(path);
    return /(?<!_test)\.ts$/.test(name) ? [path] : [];
  });
}

/** Relative imports of a file, the dynamic ones and those of types too. */
function imports(file: string): string[] {
  const text = readFileSync(file, "utf8").replace(/^\s*(\*|\/\/).*$/gm, "");
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)]
    .map((match) => join(dirname(file), match[1]!));
}

/** A file's layer: its folder below lib/, or its own name. */
function layerOf(file: string): string {
  return relative(LIB, file).split("/")[0]!;
}

Deno.test("every import goes down the layers, and analysis never reaches what measures", () => {
  const files = sources();
  equal(files.length > 40, true);
  const wrong = files.flatMap((file) => {
    const layer = layerOf(file);
    if (["tasks", "bench", "mod.ts"].includes(layer)) return [];
    const allowed = MAY_IMPORT[layer];
    if (allowed === undefined) return [`${layer} has no place in the order of layers`];
    return imports(file)
      .filter((target) => layerOf(target) !== layer && !allowed.includes(layerOf(target)))
      .map((target) => `${relative(LIB, file)} imports ${relative(LIB, target)}`);
  });
  deepEqual(wrong, []);
});

Deno.test("analysis is reached by nothing that starts a service, through any chain of imports", () => {
  const reached = new Set<string>();
  const visit = (file: string) => {
    if (reached.has(file)) return;
    reached.add(file);
    imports(file).forEach(visit);
  };
  for (const file of sources()) if (ANALYSIS.includes(layerOf(file))) visit(file);
  const measuring = [...reached].filter((file) => MEASURING.includes(layerOf(file)));
  deepEqual(measuring.map((file) => relative(LIB, file)), []);
});

Deno.test("every exported function, class and constant is used by more than its tests", () => {
  const code = (file: string) => readFileSync(file, "utf8").replace(/^\s*(\/?\*|\/\/).*$/gm, "");
  const files = sources();
  const texts = files.map(code);
  const words = new Map<string, number>();
  for (const [word] of texts.join("\n").matchAll(/[\w$]+/g)) {
    words.set(word, (words.get(word) ?? 0) + 1);
  }
  const unused = files.flatMap((file, i) =>
    [...texts[i]!.matchAll(/^export (?:async )?(?:function|class|const) ([\w$]+)/gm)]
      .filter(([, name]) => words.get(name!) === 1)
      .map(([, name]) => `${relative(LIB, file)} exports ${name}`)
  );
  deepEqual(unused, []);
});

Deno.test("only the named plans know an app of apps/, and no other code or comment has its name", () => {
  const apps = ["fastapi", "django", "flask"];
  const naming = sources().filter((file) => {
    const text = readFileSync(file, "utf8").toLowerCase();
    return apps.some((app) => text.includes(app));
  });
  deepEqual(naming.map((file) => relative(LIB, file)), ["named_plans.ts"]);
});

Deno.test("no name is exported by two files", () => {
  const places = new Map<string, string[]>();
  const kinds = "(?:async )?(?:function\\*?|(?:abstract )?class|const|interface|type) ";
  for (const file of sources()) {
    const exported = new RegExp(`^export ${kinds}([\\w$]+)`, "gm");
    const names = [...readFileSync(file, "utf8").matchAll(exported)].map(([, name]) => name!);
    for (const name of new Set(names)) {
      places.set(name, [...places.get(name) ?? [], relative(LIB, file)]);
    }
  }
  ok(places.size > 500);
  deepEqual([...places].filter(([, files]) => files.length > 1), []);
});

/** The text behind an opening bracket, up to the one that closes it. */
function within(text: string, from: number, [opening, closing]: string): string {
  let depth = 1;
  let at = from;
  for (; depth > 0 && at < text.length; at++) {
    if (text[at] === opening) depth++;
    else if (text[at] === closing) depth--;
  }
  return text.slice(from, at - 1);
}

Deno.test("an error that is thrown for another has it as its cause", () => {
  let wrapped = 0;
  const without = sources().flatMap((file) => {
    const text = readFileSync(file, "utf8");
    const handlers = [...text.matchAll(/catch \(\w+\) \{/g)]
      .map((found) => within(text, found.index + found[0].length, "{}"));
    const calls = handlers.flatMap((handler) =>
      [...handler.matchAll(/throw new \w+Error\(/g)]
        .map((found) => within(handler, found.index + found[0].length, "()"))
    );
    wrapped += calls.length;
    return calls.filter((call) => !/\bcause\b/.test(call)).map((call) => `${file}: ${call}`);
  });
  ok(wrapped > 20);
  deepEqual(without, []);
});
