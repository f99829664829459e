/** Versions of servers that tests can have beside those of the set-up. */

import { ensurePgbouncer } from "../setup/pgbouncer.ts";

/** The version of PgBouncer in Debian's next release, which only that can tell. */
export async function otherPgbouncer(): Promise<string> {
  const { message } = await ensurePgbouncer({ version: "999" }).then(
    () => new Error("there is a PgBouncer 999"),
    (error: Error) => error,
  );
  const version = /Debian testing has (\d+\.\d+)/.exec(message)?.[1];
  if (version === undefined) throw new Error(message);
  return version;
}
