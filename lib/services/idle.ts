/** Connections that nobody uses, as other replicas of an app hold them. */

import { PoolscopeError } from "../errors.ts";
import { answerWithin } from "../hosts/wait.ts";
import { type Access, connect } from "./database.ts";

/** How long one of them may take to be opened, in seconds. */
const OPEN_LIMIT_S = 30;

/**
 * Opens connections and leaves them alone until they are disposed of.
 *
 * @param access The server, PostgreSQL or PgBouncer, with the database that they are connected to.
 * @throws {PoolscopeError} If the server has no room for all of them.
 */
export async function holdIdle(access: Access, count: number): Promise<AsyncDisposable> {
  const held = Array.from({ length: count }, () => connect(access, { max_lifetime: null }));
  const end = async () => {
    await Promise.all(held.map((sql) => sql.end({ timeout: 1 })));
  };
  try {
    // One after the other: PgBouncer then needs no more than one server connection for all of them.
    for (const sql of held) {
      const opened = sql.unsafe("select 1").simple();
      await answerWithin(OPEN_LIMIT_S, `The server at port ${access.port}`, opened);
    }
  } catch (error) {
    await end();
    throw new PoolscopeError(
      `Cannot hold ${count} idle connections: ${(error as Error).message.split("\n")[0]}`,
      { cause: error },
    );
  }
  return { [Symbol.asyncDispose]: end };
}
