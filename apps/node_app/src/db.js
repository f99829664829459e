/** Connections: a pool in each worker, or a new one for each request. */

import pg from "pg";
import { config } from "./config.js";

const { database, poolSize, preparedStatements, reuse } = config;

/** A lost connection fails its query as well; unheard, it would end the process. */
function onLost(error) {
  console.error(`Lost a connection: ${error.message}`);
}

const pool = new pg.Pool({
  ...database,
  max: poolSize,
  connectionTimeoutMillis: 30_000,
  idleTimeoutMillis: 0,
});
pool.on("connect", (client) => client.on("error", onLost));
pool.on("error", () => {}); // An idle client's loss comes here as well.

/** Ends the pool once its queries have their answers. */
export const closePool = () => pool.end();

/** Calls `work` with a connection, and gives the connection back. */
async function withClient(work) {
  if (reuse === "app_pool") {
    const client = await pool.connect();
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }
  const client = new pg.Client(database);
  client.on("error", onLost);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A statement with a name is prepared on each connection at its first use. */
function run(client, { name, text }, values) {
  return client.query(
    preparedStatements ? { name, text, values } : { text, values },
  );
}

/** The rows of one statement, which is a transaction of its own. */
export function query(statement, values) {
  return withClient(async (client) => (await run(client, statement, values)).rows);
}

/** Statements that are kept together, or not at all: `work` calls its argument like `query`. */
export function transaction(work) {
  return withClient(async (client) => {
    await client.query("BEGIN");
    try {
      const result = await work(async (statement, values) => {
        return (await run(client, statement, values)).rows;
      });
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch(onLost);
      throw error;
    }
  });
}
