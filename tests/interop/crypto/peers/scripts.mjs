// Reads and writes S/MIME with pkijs and node-forge, one request a line: words between tabs, octets
// in files. The answer is "ok", or "no" and the reason.

import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { X509Certificate, createPrivateKey, webcrypto } from "node:crypto";
import * as asn1js from "asn1js";
import * as pkijs from "pkijs";
import forge from "node-forge";

const versions = (name) =>
  JSON.parse(readFileSync(new URL(`./node_modules/${name}/package.json`, import.meta.url))).version;

const crypto = new pkijs.CryptoEngine({ name: "node", crypto: webcrypto });
pkijs.setEngine("node", crypto);

// Files.

const octets = (path) => {
  const read = readFileSync(path);
  return read.buffer.slice(read.byteOffset, read.byteOffset + read.byteLength);
};
const certificate = (path) => pkijs.Certificate.fromBER(new Uint8Array(new X509Certificate(readFileSync(path)).raw));
const pkcs8 = (path) => {
  const key = createPrivateKey(readFileSync(path)).export({ format: "der", type: "pkcs8" });
  return key.buffer.slice(key.byteOffset, key.byteOffset + key.byteLength);
};
const content = (buffer) => pkijs.ContentInfo.fromBER(buffer);
const wrapped = (type, value) =>
  Buffer.from(new pkijs.ContentInfo({ contentType: type, content: value }).toSchema().toBER(false));
const text = (path) => readFileSync(path, "latin1");

// pkijs.

const importing = {
  pss: { name: "RSA-PSS", hash: "SHA-256" },
  rsa: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  p256: { name: "ECDSA", namedCurve: "P-256" },
  p384: { name: "ECDSA", namedCurve: "P-384" },
};

const requests = {
  "pkijs-version": async () => Buffer.from(versions("pkijs")),
  "forge-version": async () => Buffer.from(versions("node-forge")),

  "pkijs-decrypt": async (message, reader, key) => {
    const enveloped = new pkijs.EnvelopedData({ schema: content(octets(message)).content });
    const mine = certificate(reader);
    for (const [index, each] of enveloped.recipientInfos.entries()) {
      const named =
        each.variant === 1
          ? [each.value.rid]
          : each.variant === 2
            ? each.value.recipientEncryptedKeys.encryptedKeys.map((one) => one.rid.value)
            : [];
      if (named.some((one) => one?.serialNumber?.isEqual(mine.serialNumber))) {
        const options = { recipientCertificate: mine, recipientPrivateKey: pkcs8(key) };
        return Buffer.from(await enveloped.decrypt(index, options, crypto));
      }
    }
    throw new Error("no recipient of ours");
  },

  "pkijs-verify": async (message, root, data) => {
    const signed = new pkijs.SignedData({ schema: content(octets(message)).content });
    const detached = data === "-" ? undefined : octets(data);
    if (signed.signerInfos.length === 0) throw new Error("no signer");
    for (const signer of signed.signerInfos.keys()) {
      const given = { signer, checkChain: true, trustedCerts: [certificate(root)] };
      const held = await signed.verify({ ...given, ...(detached && { data: detached }) }, crypto);
      if (!held) throw new Error("the signature does not hold");
    }
    return Buffer.from(detached ?? signed.encapContentInfo.eContent.getValue());
  },

  "pkijs-encrypt": async (plain, cipher, length, ...readers) => {
    const enveloped = new pkijs.EnvelopedData();
    for (const each of readers) {
      enveloped.addRecipientByCertificate(
        certificate(each),
        { oaepHashAlgorithm: "SHA-256", kdfAlgorithm: "SHA-256", kekEncryptionLength: 256 },
        undefined,
        crypto,
      );
    }
    await enveloped.encrypt({ name: cipher, length: Number(length) }, octets(plain), crypto);
    return wrapped("1.2.840.113549.1.7.3", enveloped.toSchema());
  },

  "pkijs-sign": async (plain, algorithm, hash, inside, signer, key, intermediate) => {
    const data = octets(plain);
    const mine = certificate(signer);
    const digest = await webcrypto.subtle.digest(hash, data);
    const attribute = (type, value) => new pkijs.Attribute({ type, values: [value] });
    const attributes = [
      attribute("1.2.840.113549.1.9.3", new asn1js.ObjectIdentifier({ value: "1.2.840.113549.1.7.1" })),
      attribute("1.2.840.113549.1.9.5", new asn1js.UTCTime({ valueDate: new Date() })),
      attribute("1.2.840.113549.1.9.4", new asn1js.OctetString({ valueHex: digest })),
    ];
    const signed = new pkijs.SignedData({
      version: 1,
      encapContentInfo: new pkijs.EncapsulatedContentInfo({
        eContentType: "1.2.840.113549.1.7.1",
        ...(inside === "inside" && { eContent: new asn1js.OctetString({ valueHex: data }) }),
      }),
      signerInfos: [
        new pkijs.SignerInfo({
          version: 1,
          sid: new pkijs.IssuerAndSerialNumber({ issuer: mine.issuer, serialNumber: mine.serialNumber }),
          signedAttrs: new pkijs.SignedAndUnsignedAttributes({ type: 0, attributes }),
        }),
      ],
      certificates: [mine, certificate(intermediate)],
    });
    const form = { ...importing[algorithm], hash };
    const imported = await webcrypto.subtle.importKey("pkcs8", pkcs8(key), form, false, ["sign"]);
    await signed.sign(imported, 0, hash, data, crypto);
    return wrapped("1.2.840.113549.1.7.2", signed.toSchema(true));
  },

  // node-forge: RSA v1.5 only; it signs but does not verify.

  "forge-decrypt": async (message, reader, key) => {
    const parsed = forge.asn1.fromDer(text(message));
    const enveloped = forge.pkcs7.messageFromAsn1(parsed);
    const mine = enveloped.findRecipient(forge.pki.certificateFromPem(text(reader)));
    if (!mine) throw new Error("no recipient of ours");
    enveloped.decrypt(mine, forge.pki.privateKeyFromPem(text(key)));
    if (!enveloped.content) throw new Error("nothing came out");
    return Buffer.from(enveloped.content.getBytes(), "latin1");
  },

  "forge-encrypt": async (plain, cipher, ...readers) => {
    const enveloped = forge.pkcs7.createEnvelopedData();
    readers.forEach((each) => enveloped.addRecipient(forge.pki.certificateFromPem(text(each))));
    enveloped.content = forge.util.createBuffer(text(plain));
    enveloped.encrypt(undefined, forge.pki.oids[cipher]);
    return Buffer.from(forge.asn1.toDer(enveloped.toAsn1()).getBytes(), "latin1");
  },

  "forge-sign": async (plain, inside, signer, key, intermediate) => {
    const signed = forge.pkcs7.createSignedData();
    signed.content = forge.util.createBuffer(text(plain));
    signed.addCertificate(forge.pki.certificateFromPem(text(signer)));
    signed.addCertificate(forge.pki.certificateFromPem(text(intermediate)));
    signed.addSigner({
      key: forge.pki.privateKeyFromPem(text(key)),
      certificate: forge.pki.certificateFromPem(text(signer)),
      digestAlgorithm: forge.pki.oids.sha256,
      authenticatedAttributes: [
        { type: forge.pki.oids.contentType, value: forge.pki.oids.data },
        { type: forge.pki.oids.messageDigest },
        { type: forge.pki.oids.signingTime, value: new Date() },
      ],
    });
    signed.sign({ detached: inside !== "inside" });
    return Buffer.from(forge.asn1.toDer(signed.toAsn1()).getBytes(), "latin1");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, out, ...given] = line.split("\t");
  let answer = "ok";
  try {
    writeFileSync(out, await requests[verb](...given));
  } catch (refusal) {
    answer = `no ${String(refusal?.stack ?? refusal).replaceAll("\n", " ").slice(0, 300)}`;
  }
  process.stdout.write(`${answer}\n`);
}
