/** `deno task images`: builds the Docker images of a study; see {@linkcode ensureImages}. */

import { openDocker } from "../hosts/docker/client.ts";
import { dockerEnvironment, findDocker } from "../hosts/docker/daemon.ts";
import { PoolscopeError } from "../errors.ts";
import { ensureSecrets } from "../services/compose_secrets.ts";
import { ensureImages, removeImages } from "../services/images.ts";
import { runTaskCommand, taskCommand } from "./options.ts";

const command = taskCommand("images", "Builds the Docker images of a study.")
  .option("--offline", "without an image registry: from Debian's packages (as root)")
  .option(
    "--ca-bundle <file>",
    "certificates that pip also trusts (default: those that the environment names)",
  )
  .option("--remove", "remove all of them")
  .option(
    "--docker-host <url>",
    "where Docker is (default: DOCKER_HOST, the context, the usual sockets)",
  );

await runTaskCommand(command, async ({ options, signal }) => {
  const begun = performance.now();
  const found = await findDocker(dockerEnvironment(options.dockerHost));
  if (typeof found === "string") throw new PoolscopeError(`Cannot build images: ${found}`);
  const docker = openDocker(found.daemon);
  if (options.remove) {
    for (const name of await removeImages(docker)) console.log(`Removed ${name}`);
    return;
  }
  const images = await ensureImages(docker, {
    offline: options.offline,
    caBundle: options.caBundle,
    log: (line) => console.error(line),
    signal,
  });
  for (const { reference, id, base, built } of Object.values(images)) {
    const was = built ? "" : ", was there";
    console.log(`${reference.padEnd(28)} ${id.slice(7, 19)}  on ${base}${was}`);
  }
  for (const file of ensureSecrets()) console.log(`Made ${file} for plain docker compose`);
  console.log(`Done in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}, { interrupted: "Interrupted: images that were finished are kept, start again to go on" });
