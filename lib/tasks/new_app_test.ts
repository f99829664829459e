// test lane: checkout
import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseApp, readApp } from "../apps/app.ts";
import { createApp, templates } from "./new_app.ts";

Deno.test("createApp() makes a folder of each template that needs no other", async (t) => {
  const parent = Deno.makeTempDirSync();
  try {
    for (const from of Object.keys(templates())) {
      await t.step(from, () => {
        const folder = createApp(join(parent, `my_${from}`), from);
        const text = readFileSync(join(folder, "app.json"), "utf8");
        const app = parseApp(text, "app.json", { name: `my_${from}`, folder });
        equal(app.title, `my_${from}`);
        equal(text.replace(/"\$schema".*/, "").includes("../"), false, text);
        for (const file of [app.schema, app.seed, app.lock, app.dockerfile]) {
          ok(file === undefined || existsSync(join(folder, file)), file);
        }
        equal(app.environment, "own");
        if (from === "blank") return;
        deepEqual(app.contract, readApp(from).contract);
        const dockerfile = readFileSync(join(folder, app.dockerfile!), "utf8");
        equal(dockerfile.includes(`${from}_app`), false, dockerfile);
        for (const [, files] of dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)) {
          for (const file of files!.split(" ")) {
            ok(file === "ca-bundle.cr[t]" || existsSync(join(folder, file)), file);
          }
        }
        const names = readdirSync(folder, { recursive: true }).map(String);
        equal(names.some((name) => /node_modules|__pycache__/.test(name)), false);
        const sources = names.filter((name) => /\.(py|js)$/.test(name))
          .map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
        match(sources, new RegExp(`app"?: "my_${from}"`));
      });
    }
  } finally {
    Deno.removeSync(parent, { recursive: true });
  }
});

Deno.test("createApp() overwrites nothing, and refuses names that no app can have", () => {
  const parent = Deno.makeTempDirSync();
  try {
    throws(() => createApp(join(parent, "Shop"), "blank"), /must be of a-z/);
    throws(() => createApp("django", "blank"), /there is an app of that name/);
    const folder = createApp(join(parent, "shop"), "blank");
    throws(() => createApp(folder, "blank"), /is not empty; choose another name/);
  } finally {
    Deno.removeSync(parent, { recursive: true });
  }
});
