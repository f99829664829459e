/** `deno task images`: builds the Docker images of a study; see {@linkcode ensureImages}. */

import { openDocker } from "../engine/docker_client.ts";
import { dockerEnvironment, findDocker } from "../engine/docker_host.ts";
import { PoolscopeError } from "../errors.ts";
import { ensureSecrets } from "../setup/compose_secrets.ts";
import { ensureImages, removeImages } from "../setup/images.ts";
import { parseOptions, runTask } from "./cli.ts";

const USAGE = `Usage: deno task images [options]

  --offline           where no image registry is reachable: on Debian's packages (as root)
  --ca-bundle FILE    certificates that pip also trusts (default: those that the environment names)
  --remove            remove all of them
  --docker-host URL   where Docker is (default: DOCKER_HOST, the context, the usual sockets)`;

await runTask(USAGE, async (signal) => {
  const { values } = parseOptions(Deno.args, {
    offline: { type: "boolean", default: false },
    "ca-bundle": { type: "string" },
    remove: { type: "boolean", default: false },
    "docker-host": { type: "string" },
  });
  const begun = performance.now();
  const found = await findDocker(dockerEnvironment(values["docker-host"]));
  if (typeof found === "string") throw new PoolscopeError(`Cannot build images: ${found}`);
  const docker = openDocker(found.host);
  if (values.remove) {
    for (const name of await removeImages(docker)) console.log(`Removed ${name}`);
    return;
  }
  const images = await ensureImages(docker, {
    offline: values.offline,
    caBundle: values["ca-bundle"],
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
