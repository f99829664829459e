/** The user that PostgreSQL and PgBouncer run as when we are root, for both refuse root. */

import { PoolscopeError } from "../errors.ts";

/** A user of this machine, with the user's own group. */
export interface ServiceUser {
  uid: number;
  gid: number;
  name: string;
}

/** Users that may serve, best first. */
const CANDIDATES = ["postgres", "nobody"];

/** The first of some users that a passwd file has and that is not root; null where there is none. */
export function findUser(passwd: string, names: readonly string[]): ServiceUser | null {
  for (const name of names) {
    const numbers = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, "m").exec(passwd);
    const [uid = 0, gid = 0] = numbers?.slice(1).map(Number) ?? [];
    if (uid > 0) return { uid, gid, name };
  }
  return null;
}

/** The user that PostgreSQL and PgBouncer must run as; null is ourselves, unless we are root. */
export function serviceUser(): ServiceUser | null {
  if (Deno.uid() !== 0) return null;
  const user = findUser(Deno.readTextFileSync("/etc/passwd"), CANDIDATES);
  if (user !== null) return user;
  const names = CANDIDATES.join(", ");
  throw new PoolscopeError(
    `Cannot start PostgreSQL as root: /etc/passwd has neither of the users ${names}; run as an ordinary user instead`,
  );
}
