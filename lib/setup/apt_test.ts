// test lane: checkout
import { deepStrictEqual as equal } from "node:assert/strict";
import { debianMirrors, parseAptSources } from "./apt.ts";

const NEWER = `# comment
Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/company.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: sid

Types: deb
URIs: https://other.example/packages
Suites: stable
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
`;

const OLDER = `
deb cdrom:[Debian 12]/ bookworm main
# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg,/b.gpg] http://mirror.example/debian bookworm main contrib
deb-src http://source.example/debian bookworm main
deb [trusted=yes] file:/srv/debian ./
deb http://security.example/debian-security bookworm-security main
`;

Deno.test("parseAptSources() reads the newer format", () => {
  const sources = parseAptSources("x.sources", NEWER);
  equal(sources.length, 3);
  equal(sources[0], {
    uri: "http://mirror.example/debian/",
    suites: ["bookworm", "bookworm-updates"],
    signedBy: ["/usr/share/keyrings/company.gpg"],
    trusted: false,
  });
  equal(sources[2]?.signedBy, []);
});

Deno.test("parseAptSources() reads the older format", () => {
  const sources = parseAptSources("/etc/apt/sources.list", OLDER);
  equal(sources.map(({ uri }) => uri), [
    "cdrom:[Debian",
    "http://mirror.example/debian",
    "file:/srv/debian",
    "http://security.example/debian-security",
  ]);
  equal(sources[1]?.signedBy, ["/usr/share/keyrings/a.gpg", "/b.gpg"]);
  equal(sources[2]?.trusted, true);
});

Deno.test("debianMirrors() takes Debian's own archive, each address once", () => {
  const sources = [...parseAptSources("x.sources", NEWER), ...parseAptSources("x.list", OLDER)];
  equal(debianMirrors(sources).map(({ uri }) => uri), [
    "http://mirror.example/debian",
    "file:/srv/debian",
  ]);
});

Deno.test("debianMirrors() looks beside a mirror of Ubuntu", () => {
  const text = "deb [signed-by=/u.gpg] http://mirror.example/ubuntu/ noble main universe";
  const [mirror] = debianMirrors(parseAptSources("x.list", text));
  equal(mirror?.uri, "http://mirror.example/debian");
  equal(mirror?.signedBy, []);
});
