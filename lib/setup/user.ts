/**
 * The unprivileged user that PostgreSQL and PgBouncer run as when we are root: both refuse to run
 * as root.
 *
 * @module
 */

import { PoolscopeError } from "../errors.ts";

/** A user of this machine. */
export interface ServiceUser {
  /** The user's number. */
  uid: number;
  /** The number of the user's own group. */
  gid: number;
  /** The user's name. */
  name: string;
}

/** Users that may serve, best first. */
const CANDIDATES = ["postgres", "nobody"];

/**
 * Finds a user in the text of a passwd file.
 *
 * @returns The first of `names` that is there and is not root, or null.
 */
export function findUser(passwd: string, names: readonly string[]): ServiceUser | null {
  const users = new Map(
    passwd.split("\n").map((line) => line.split(":")).map((fields) => [fields[0], fields]),
  );
  for (const name of names) {
    const fields = users.get(name);
    const uid = Number(fields?.[2] || NaN);
    const gid = Number(fields?.[3] || NaN);
    if (uid > 0 && gid >= 0) return { uid, gid, name };
  }
  return null;
}

/**
 * The user that PostgreSQL and PgBouncer must run as: null unless we are root, for then it is us.
 *
 * @throws {PoolscopeError} If we are root and there is no such user.
 */
export function serviceUser(): ServiceUser | null {
  if (Deno.uid() !== 0) return null;
  const user = findUser(Deno.readTextFileSync("/etc/passwd"), CANDIDATES);
  if (user === null) {
    throw new PoolscopeError(
      `Cannot start PostgreSQL as root: /etc/passwd has neither of the users ${
        CANDIDATES.join(", ")
      }; run as an ordinary user instead`,
    );
  }
  return user;
}
