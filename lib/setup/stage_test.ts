// test lane: checkout
import { deepStrictEqual as equal, notEqual, ok, throws } from "node:assert/strict";
import { join } from "node:path";
import { PoolscopeError } from "../errors.ts";
import { isOurs, isReachable, reachableFolder, stageFolder, stagingFolder } from "./stage.ts";
import { findUser, type ServiceUser } from "./user.ts";

const STRANGER: ServiceUser = { uid: 65534, gid: 65534, name: "nobody" };
const isRoot = Deno.uid() === 0;

/** A checkout of its own, with a staging area beside it instead of /var/tmp. */
async function withCheckout(
  mode: number,
  work: (root: string, staging: string) => Promise<void> | void,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = Deno.env.get("POOLSCOPE_STAGING");
  try {
    await Deno.chmod(folder, 0o755);
    const home = join(folder, "home");
    const staging = join(folder, "staging");
    await Deno.mkdir(join(home, "checkout"), { recursive: true });
    await Deno.mkdir(staging);
    await Deno.chmod(home, mode);
    Deno.env.set("POOLSCOPE_STAGING", staging);
    await work(join(home, "checkout"), staging);
  } finally {
    if (before === undefined) Deno.env.delete("POOLSCOPE_STAGING");
    else Deno.env.set("POOLSCOPE_STAGING", before);
    await Deno.remove(folder, { recursive: true });
  }
}

function makePrograms(root: string): string {
  const folder = join(root, "programs");
  Deno.mkdirSync(join(folder, "bin"), { recursive: true });
  Deno.writeTextFileSync(join(folder, "bin", "server"), "#!/bin/sh\necho hello\n", { mode: 0o700 });
  Deno.writeTextFileSync(join(folder, "bin", "data"), "x", { mode: 0o600 });
  Deno.symlinkSync("server", join(folder, "bin", "link"));
  return folder;
}

Deno.test("findUser() takes the first that is there and is not root", () => {
  const passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
  equal(findUser(passwd, ["postgres", "nobody"]), STRANGER);
  equal(findUser(passwd, ["postgres", "root"]), null);
});

Deno.test("isReachable() looks at every parent folder", async () => {
  await withCheckout(0o700, (root) => {
    equal(isReachable(root, STRANGER), false);
    equal(isReachable(root, null), true);
    equal(isReachable(join(root, "missing"), STRANGER), false);
  });
  await withCheckout(0o755, (root) => equal(isReachable(root, STRANGER), true));
});

Deno.test("isOurs() refuses what others can replace", async () => {
  await withCheckout(0o777, (root) => equal(isOurs(root), false));
  await withCheckout(0o755, (root) => equal(isOurs(root), true));
});

Deno.test("stageFolder() leaves programs where they are if they can be reached", async () => {
  await withCheckout(0o755, (root) => {
    const folder = makePrograms(root);
    equal(stageFolder(folder, "programs-1", null, root), folder);
  });
});

Deno.test({
  name: "stageFolder() copies programs out of a closed home folder, once",
  ignore: !isRoot,
  fn: async () => {
    await withCheckout(0o700, async (root, staging) => {
      const staged = stageFolder(makePrograms(root), "programs-1", STRANGER, root);
      ok(staged.startsWith(staging));
      const output = await new Deno.Command(join(staged, "bin", "link"), {
        uid: STRANGER.uid,
        gid: STRANGER.gid,
        cwd: "/",
      }).output();
      equal(new TextDecoder().decode(output.stdout), "hello\n");
      equal((Deno.statSync(join(staged, "bin", "data")).mode ?? 0) & 0o777, 0o644);
      const before = Deno.statSync(staged).ino;
      equal(stageFolder(join(root, "programs"), "programs-1", STRANGER, root), staged);
      equal(Deno.statSync(staged).ino, before);
    });
  },
});

Deno.test({
  name: "stageFolder() refuses a staging folder that is somebody else's or a link",
  ignore: !isRoot,
  fn: async () => {
    await withCheckout(0o700, (root) => {
      const programs = makePrograms(root);
      const staging = stagingFolder(root);
      Deno.mkdirSync(staging);
      Deno.chownSync(staging, STRANGER.uid, STRANGER.gid);
      throws(() => stageFolder(programs, "programs-1", STRANGER, root), PoolscopeError);
      Deno.removeSync(staging);
      Deno.symlinkSync("/etc", staging);
      throws(() => stageFolder(programs, "programs-1", STRANGER, root), PoolscopeError);
      Deno.removeSync(staging);
      Deno.mkdirSync(staging);
      Deno.chmodSync(staging, 0o777);
      throws(() => stageFolder(programs, "programs-1", STRANGER, root), PoolscopeError);
    });
  },
});

Deno.test("reachableFolder() is in the checkout for ourselves, and closed to others", async () => {
  await withCheckout(0o755, (root) => {
    const folder = reachableFolder("postgres/study", null, root);
    equal(folder, join(root, ".poolscope", "postgres", "study"));
    equal((Deno.statSync(folder).mode ?? 0) & 0o777, 0o700);
    equal(reachableFolder("postgres/study", null, root), folder);
  });
});

Deno.test({
  name: "reachableFolder() belongs to the service user, wherever that user can get",
  ignore: !isRoot,
  fn: async () => {
    for (const mode of [0o755, 0o700]) {
      await withCheckout(mode, async (root) => {
        const folder = reachableFolder("postgres/study", STRANGER, root);
        equal(folder.startsWith(join(root, ".poolscope")), mode === 0o755);
        const { uid, mode: actual } = Deno.statSync(folder);
        equal([uid, (actual ?? 0) & 0o777], [STRANGER.uid, 0o700]);
        const { success } = await new Deno.Command("touch", {
          args: [join(folder, "file")],
          uid: STRANGER.uid,
          gid: STRANGER.gid,
          cwd: "/",
        }).output();
        ok(success);
        equal(reachableFolder("postgres/study", STRANGER, root), folder);
      });
    }
  },
});

Deno.test("stagingFolder() differs between checkouts", async () => {
  await withCheckout(0o755, (root) => {
    Deno.mkdirSync(join(root, "other"));
    notEqual(stagingFolder(root), stagingFolder(join(root, "other")));
  });
});
