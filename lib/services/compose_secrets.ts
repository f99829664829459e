/**
 * The password files that plain Docker Compose mounts. Poolscope's own engine does not read them: it
 * makes new passwords for each study.
 */

import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../store/layout.ts";

/** The names of the secrets in `compose/compose.yml`. */
export const SECRETS = ["admin_password", "app_password"] as const;

/**
 * Makes the files that are missing, readable by their owner alone.
 *
 * @returns What was made, from the checkout's root.
 */
export function ensureSecrets(): string[] {
  mkdirSync(join(ROOT, "compose", "secrets"), { recursive: true, mode: 0o700 });
  return SECRETS.map((name) => join("compose", "secrets", name)).filter((file) => {
    if (existsSync(join(ROOT, file))) return false;
    writeFileSync(join(ROOT, file), randomBytes(16).toString("hex"), { mode: 0o600, flag: "wx" });
    return true;
  });
}
