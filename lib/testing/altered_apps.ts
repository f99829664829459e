/** Apps and PgBouncer's templates that are not as they should be, and studies of them. */

import { equal, ok } from "node:assert/strict";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { LocalEngine } from "../engine/local.ts";
import type { Plan, PlannedRun } from "../plan.ts";
import type { Study } from "../report/study.ts";
import { setUp } from "../setup/mod.ts";
import { ROOT } from "../store/layout.ts";
import { runPlan } from "./run_plan.ts";

/** A change of a file of an app, or of a template. */
export interface Change {
  /** Below the copy, as in `apps/flask_app/app.json`. */
  file: string;
  from: string | RegExp;
  to: string;
}

/** What is special about a study of altered apps. */
export interface AlteredStudyOptions {
  /** Called before each run. @default nothing */
  before?: (run: PlannedRun) => void;
  /** Gives the engine to be used instead. @default the engine itself */
  wrap?: (engine: Engine) => Engine;
}

/** A copy of all apps and templates, to be altered; removed when it is disposed, with its study. */
export class AlteredApps implements Disposable {
  /** The folder with `apps/` and `pgbouncer/`. */
  readonly root = Deno.makeTempDirSync({ prefix: "poolscope-altered-" });

  constructor(changes: readonly Change[] = []) {
    for (const part of ["apps", "pgbouncer"]) {
      cpSync(join(ROOT, part), this.path(part), { recursive: true });
    }
    for (const change of changes) this.alter(change);
  }

  /** The path of a file or folder of the copy. */
  path(file: string): string {
    return join(this.root, file);
  }

  /** Replaces a text that the file must have. */
  alter({ file, from, to }: Change): void {
    const text = readFileSync(this.path(file), "utf8");
    const altered = text.replace(from, to);
    ok(altered !== text, `${file} has no ${from}`);
    writeFileSync(this.path(file), altered);
  }

  /** Runs a plan on these apps, every run of which must succeed. */
  async run(plan: Plan, { before, wrap }: AlteredStudyOptions = {}): Promise<Study> {
    await using local = new LocalEngine(await setUp(), () => {}, { root: this.root });
    const folder = join(this.root, "study");
    const [manifests, study] = await runPlan(plan, wrap?.(local) ?? local, folder, { before });
    for (const { cause } of manifests) equal(cause, null);
    return study;
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
