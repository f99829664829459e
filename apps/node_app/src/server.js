/** Starts the workers, which share the port: the primary process hands them connections in turn. */

import cluster from "node:cluster";
import process from "node:process";

function fail(error) {
  console.error(`Cannot start: ${error.message}`);
  process.exit(1);
}

const { config } = await import("./config.js").catch(fail);

if (cluster.isPrimary) startWorkers();
else await serve();

function startWorkers() {
  let stopping = false;
  const stop = () => {
    stopping = true;
    for (const worker of Object.values(cluster.workers)) {
      worker.process.kill("SIGTERM");
    }
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
  for (let i = 0; i < config.workers; i++) cluster.fork();
  cluster.on("exit", (_worker, code, signal) => {
    if (stopping) return;
    console.error(`A worker ended with ${signal ?? `status ${code}`}`);
    stop();
    process.exitCode = 1;
  });
}

async function serve() {
  const { app } = await import("./app.js");
  const { closePool } = await import("./db.js");
  const { host, port, backlog } = config;
  const server = app.listen(
    { host, port, backlog },
    (error) => error && fail(error),
  );
  // Longer than clients pause, so that none finds its connection closed.
  server.keepAliveTimeout = 75_000;
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    // Requests that are being answered are, and then their connections close.
    server.keepAliveTimeout = 1;
    server.close(async () => {
      await closePool();
      process.exit(0);
    });
  };
  process.on("SIGTERM", stop).on("SIGINT", stop);
}
