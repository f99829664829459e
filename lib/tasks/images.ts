/** `deno task images`: builds the Docker images of a study; see {@linkcode ensureImages}. */

import Docker from "dockerode";
import { ensureImages, findCaBundle } from "../setup/images.ts";
import { parseOptions, runTask } from "./cli.ts";

const USAGE = `Usage: deno task images [options]

  --offline          without an image registry: on bases made from Debian's packages (root)
  --ca-bundle FILE   certificates that pip trusts while it builds (default: the environment's)`;

await runTask(async (signal) => {
  const { values } = parseOptions(Deno.args, {
    help: { type: "boolean", short: "h" },
    offline: { type: "boolean", default: false },
    "ca-bundle": { type: "string" },
  });
  if (values.help) return console.log(USAGE);
  const images = await ensureImages(new Docker(), {
    offline: values.offline,
    caBundle: values["ca-bundle"] ?? findCaBundle(Deno.env.toObject()),
    log: (line) => console.error(line),
    signal,
  });
  for (const { reference, id, base, built } of Object.values(images)) {
    console.log(
      `${reference.padEnd(28)} ${id.slice(7, 19)}  on ${base}${built ? "" : ", was there"}`,
    );
  }
});
