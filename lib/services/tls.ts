/**
 * Certificates for the connections to PostgreSQL and PgBouncer: an authority for each environment,
 * whose own key is forgotten once it has signed.
 */

import type { HostFile } from "../hosts/host.ts";

/** Names and address by which clients reach the services, on this machine and in containers. */
const DNS_NAMES = ["localhost", "postgres", "pgbouncer", "network"];
const ADDRESS = "127.0.0.1";
const DAY_MS = 24 * 3600 * 1000;
const VALID_DAYS = 90;

/** A server's key and certificate and the authority that signed it, as PEM. */
export interface Certificates {
  /** The authority's certificate, which clients trust. */
  ca: string;
  certificate: string;
  /** The private key; never to be logged or shown. */
  key: string;
}

/** Makes an authority, and a key and certificate (ECDSA, P-256) for all services of an environment. */
export async function makeCertificates(): Promise<Certificates> {
  // Loaded here as few studies need them.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const usages = ["sign", "verify"] as const;
  const authority = await crypto.subtle.generateKey(algorithm, false, usages);
  const own = await crypto.subtle.generateKey(algorithm, true, usages);
  const validity = {
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + VALID_DAYS * DAY_MS),
  };
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: "01",
    name: "CN=Poolscope",
    signingAlgorithm: algorithm,
    keys: authority,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity,
    serialNumber: "02",
    subject: "CN=Poolscope services",
    issuer: ca.subject,
    publicKey: own.publicKey,
    signingKey: authority.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...DNS_NAMES.map((value) => ({ type: "dns" as const, value })),
        { type: "ip", value: ADDRESS },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", own.privateKey);
  return {
    ca: ca.toString("pem") + "\n",
    certificate: certificate.toString("pem") + "\n",
    key: x509.PemConverter.encode(key, "PRIVATE KEY") + "\n",
  };
}

/** The files of certificates and key in an instance's folder. */
export const CERTIFICATE_FILES = {
  ca: "ca.crt",
  certificate: "server.crt",
  key: "server.key",
} as const;

/**
 * Certificates as files of an instance; none where there are none.
 *
 * @param parts Which of them: the app gets no key. @default all
 */
export function certificateFiles(
  certificates: Certificates | null,
  parts: readonly (keyof Certificates)[] = ["ca", "certificate", "key"],
): HostFile[] {
  if (certificates === null) return [];
  return parts.map((part) => ({
    name: CERTIFICATE_FILES[part],
    content: certificates[part],
    mode: part === "key" ? 0o600 : 0o644,
  }));
}
