import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1EncodableVector;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.DERUTF8String;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.pkcs.RSAESOAEPparams;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.util.Selector;
import org.bouncycastle.util.Store;

/**
 * Reads and writes S/MIME with BouncyCastle, one request a line: words between tabs, octets in
 * files. The answer is "ok", or "no" and the reason.
 */
public final class Castle {
    private static final String BC = BouncyCastleProvider.PROVIDER_NAME;

    public static void main(String[] none) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            String answer = "ok";
            try {
                String[] words = line.split("\t");
                String[] given = Arrays.copyOfRange(words, 2, words.length);
                Files.write(Path.of(words[1]), answer(words[0], given));
            } catch (Exception | LinkageError refusal) {
                answer = "no " + String.valueOf(refusal).replace('\n', ' ');
            }
            System.out.println(answer);
            System.out.flush();
        }
    }

    private static byte[] answer(String verb, String[] given) throws Exception {
        switch (verb) {
            case "version":
                String version = Security.getProvider(BC).getVersionStr();
                return version.getBytes(StandardCharsets.US_ASCII);
            case "decrypt":
                return decrypt(read(given[0]), holder(given[1]), key(given[2]));
            case "verify":
                byte[] content = given[2].equals("-") ? null : read(given[2]);
                return verify(read(given[0]), holder(given[1]), content);
            case "encrypt":
                return encrypt(given);
            case "sign":
                return sign(given);
            case "compress":
                return new CMSCompressedDataGenerator()
                    .generate(new CMSProcessableByteArray(read(given[0])),
                        new ZlibCompressor()).getEncoded();
            default:
                throw new IllegalArgumentException(verb);
        }
    }

    // Reading.

    private static byte[] decrypt(byte[] octets, X509CertificateHolder mine, PrivateKey key)
            throws Exception {
        ASN1ObjectIdentifier type =
            ContentInfo.getInstance(octets).getContentType();
        boolean isAuthenticated = type.equals(CMSObjectIdentifiers.authEnvelopedData);
        Collection<RecipientInformation> recipients = isAuthenticated
            ? new CMSAuthEnvelopedData(octets).getRecipientInfos().getRecipients()
            : new CMSEnvelopedData(octets).getRecipientInfos().getRecipients();
        for (RecipientInformation each : recipients) {
            @SuppressWarnings("unchecked")
            Selector<X509CertificateHolder> named = each.getRID();
            if (!named.match(mine)) {
                continue;
            }
            if (each instanceof KeyTransRecipientInformation) {
                return each.getContent(isAuthenticated
                    ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider(BC)
                    : new JceKeyTransEnvelopedRecipient(key).setProvider(BC));
            }
            return each.getContent(new JceKeyAgreeEnvelopedRecipient(key).setProvider(BC));
        }
        throw new CMSException("no recipient of ours");
    }

    private static byte[] verify(byte[] octets, X509CertificateHolder root, byte[] content)
            throws Exception {
        CMSSignedData signed = content == null
            ? new CMSSignedData(octets)
            : new CMSSignedData(new CMSProcessableByteArray(content), octets);
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        if (signers.isEmpty()) {
            throw new CMSException("no signer");
        }
        for (SignerInformation signer : signers) {
            Store<X509CertificateHolder> inside = signed.getCertificates();
            @SuppressWarnings("unchecked")
            Selector<X509CertificateHolder> named = signer.getSID();
            X509CertificateHolder certificate = inside.getMatches(named).iterator().next();
            SignerInformationVerifier verifier =
                new JcaSimpleSignerInfoVerifierBuilder().setProvider(BC).build(certificate);
            if (!signer.verify(verifier)) {
                throw new CMSException("the signature does not hold");
            }
            findChain(certificate, inside, root);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        signed.getSignedContent().write(out);
        return out.toByteArray();
    }

    private static void findChain(
            X509CertificateHolder leaf, Store<X509CertificateHolder> inside,
            X509CertificateHolder root) throws Exception {
        List<X509Certificate> candidates = new ArrayList<>();
        for (X509CertificateHolder each : inside.getMatches(null)) {
            candidates.add(converted(each));
        }
        X509CertSelector selector = new X509CertSelector();
        selector.setCertificate(converted(leaf));
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(
            Set.of(new TrustAnchor(converted(root), null)), selector);
        parameters.addCertStore(CertStore.getInstance(
            "Collection", new CollectionCertStoreParameters(candidates), BC));
        parameters.setRevocationEnabled(false);
        CertPathBuilder.getInstance("PKIX", BC).build(parameters);
    }

    // Writing.

    /** Words: content, cipher, key management, options, then the readers' certificates. */
    private static byte[] encrypt(String[] given) throws Exception {
        CMSTypedData content = new CMSProcessableByteArray(read(given[0]));
        List<String> options = List.of(given[3].split(","));
        List<RecipientInfoGenerator> recipients = new ArrayList<>();
        for (String each : Arrays.copyOfRange(given, 4, given.length)) {
            recipients.add(recipient(given[2], certificate(each), options.contains("ski")));
        }
        JceCMSContentEncryptorBuilder builder =
            new JceCMSContentEncryptorBuilder(cipher(given[1])).setProvider(BC);
        if (given[1].endsWith("gcm")) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            recipients.forEach(generator::addRecipientInfoGenerator);
            if (options.contains("auth-attributes")) {
                generator.setAuthenticatedAttributeGenerator(
                    new SimpleAttributeTableGenerator(table("1.3.6.1.4.1.99999.7")));
            }
            if (options.contains("unauth-attributes")) {
                generator.setUnauthenticatedAttributeGenerator(
                    new SimpleAttributeTableGenerator(table("1.3.6.1.4.1.99999.8")));
            }
            return generator.generate(content, (OutputAEADEncryptor) builder.build()).getEncoded();
        }
        OutputEncryptor encryptor = builder.build();
        if (options.contains("stream")) {
            CMSEnvelopedDataStreamGenerator generator = new CMSEnvelopedDataStreamGenerator();
            generator.setBufferSize(1000);
            recipients.forEach(generator::addRecipientInfoGenerator);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try (OutputStream inside = generator.open(out, encryptor)) {
                content.write(inside);
            }
            return out.toByteArray();
        }
        CMSEnvelopedDataGenerator generator = new CMSEnvelopedDataGenerator();
        recipients.forEach(generator::addRecipientInfoGenerator);
        if (options.contains("unprotected")) {
            generator.setUnprotectedAttributeGenerator(
                new SimpleAttributeTableGenerator(table("1.3.6.1.4.1.99999.9")));
        }
        return generator.generate(content, encryptor).getEncoded();
    }

    private static ASN1ObjectIdentifier cipher(String name) {
        switch (name) {
            case "aes128-cbc": return NISTObjectIdentifiers.id_aes128_CBC;
            case "aes192-cbc": return NISTObjectIdentifiers.id_aes192_CBC;
            case "aes256-cbc": return NISTObjectIdentifiers.id_aes256_CBC;
            case "aes128-gcm": return NISTObjectIdentifiers.id_aes128_GCM;
            case "aes192-gcm": return NISTObjectIdentifiers.id_aes192_GCM;
            case "aes256-gcm": return NISTObjectIdentifiers.id_aes256_GCM;
            case "3des": return PKCSObjectIdentifiers.des_EDE3_CBC;
            default: throw new IllegalArgumentException(name);
        }
    }

    private static RecipientInfoGenerator recipient(
            String management, X509Certificate certificate, boolean isByKey) throws Exception {
        byte[] keyId = new JcaX509ExtensionUtils()
            .createSubjectKeyIdentifier(certificate.getPublicKey()).getKeyIdentifier();
        if (management.startsWith("ecdh")) {
            ASN1ObjectIdentifier scheme = management.equals("ecdh384")
                ? CMSAlgorithm.ECDH_SHA384KDF : CMSAlgorithm.ECDH_SHA256KDF;
            KeyPairGenerator pairs =
                KeyPairGenerator.getInstance("EC", BC);
            pairs.initialize(
                ((ECPublicKey) certificate.getPublicKey()).getParams());
            KeyPair pair = pairs.generateKeyPair();
            JceKeyAgreeRecipientInfoGenerator generator = new JceKeyAgreeRecipientInfoGenerator(
                scheme, pair.getPrivate(), pair.getPublic(), CMSAlgorithm.AES256_WRAP)
                .setProvider(BC);
            return isByKey
                ? generator.addRecipient(keyId, certificate.getPublicKey())
                : generator.addRecipient(certificate);
        }
        if (management.equals("rsa")) {
            return isByKey
                ? new JceKeyTransRecipientInfoGenerator(keyId, certificate.getPublicKey())
                    .setProvider(BC)
                : new JceKeyTransRecipientInfoGenerator(certificate).setProvider(BC);
        }
        AlgorithmIdentifier digest = new AlgorithmIdentifier(
            management.equals("oaep1")
                ? OIWObjectIdentifiers.idSHA1
                : NISTObjectIdentifiers.id_sha256,
            DERNull.INSTANCE);
        AlgorithmIdentifier oaep = new AlgorithmIdentifier(
            PKCSObjectIdentifiers.id_RSAES_OAEP,
            new RSAESOAEPparams(digest,
                new AlgorithmIdentifier(PKCSObjectIdentifiers.id_mgf1, digest),
                RSAESOAEPparams.DEFAULT_P_SOURCE_ALGORITHM));
        return isByKey
            ? new JceKeyTransRecipientInfoGenerator(keyId, oaep, certificate.getPublicKey())
                .setProvider(BC)
            : new JceKeyTransRecipientInfoGenerator(certificate, oaep).setProvider(BC);
    }

    /** Words: content, options, intermediate, then algorithm, certificate and key of each signer. */
    private static byte[] sign(String[] given) throws Exception {
        byte[] content = read(given[0]);
        List<String> options = List.of(given[1].split(","));
        boolean isInside = options.contains("inside");
        if (options.contains("stream")) {
            CMSSignedDataStreamGenerator generator = new CMSSignedDataStreamGenerator();
            generator.setBufferSize(1000);
            generator.addCertificate(holder(given[2]));
            for (int at = 3; at < given.length; at += 3) {
                generator.addSignerInfoGenerator(signer(given, at, options));
                generator.addCertificate(holder(given[at + 1]));
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            try (OutputStream inside = generator.open(out, isInside)) {
                inside.write(content);
            }
            return out.toByteArray();
        }
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addCertificate(holder(given[2]));
        for (int at = 3; at < given.length; at += 3) {
            generator.addSignerInfoGenerator(signer(given, at, options));
            generator.addCertificate(holder(given[at + 1]));
        }
        CMSTypedData data = new CMSProcessableByteArray(content);
        return generator.generate(data, isInside).getEncoded();
    }

    private static SignerInfoGenerator signer(String[] given, int at, List<String> options)
            throws Exception {
        JcaSignerInfoGeneratorBuilder builder = new JcaSignerInfoGeneratorBuilder(
            new JcaDigestCalculatorProviderBuilder().setProvider(BC).build());
        builder.setDirectSignature(options.contains("bare"));
        if (options.contains("more")) {
            builder.setSignedAttributeGenerator(
                new DefaultSignedAttributeTableGenerator(table("1.3.6.1.4.1.99999.6")));
        }
        ContentSigner content =
            new JcaContentSignerBuilder(given[at]).setProvider(BC).build(key(given[at + 2]));
        if (options.contains("ski")) {
            byte[] keyId = new JcaX509ExtensionUtils().createSubjectKeyIdentifier(
                certificate(given[at + 1]).getPublicKey()).getKeyIdentifier();
            return builder.build(content, keyId);
        }
        return builder.build(content, holder(given[at + 1]));
    }

    private static AttributeTable table(String type) {
        ASN1EncodableVector attributes = new ASN1EncodableVector();
        ASN1Encodable value = new DERUTF8String("valeur");
        attributes.add(new Attribute(new ASN1ObjectIdentifier(type), new DERSet(value)));
        return new AttributeTable(attributes);
    }

    // Files.

    private static byte[] read(String path) throws Exception {
        return Files.readAllBytes(Path.of(path));
    }

    private static Object pem(String path) throws Exception {
        String text = new String(read(path), StandardCharsets.US_ASCII);
        try (PEMParser parser = new PEMParser(new StringReader(text))) {
            return parser.readObject();
        }
    }

    private static X509CertificateHolder holder(String path) throws Exception {
        return (X509CertificateHolder) pem(path);
    }

    private static X509Certificate converted(X509CertificateHolder holder) throws Exception {
        return new JcaX509CertificateConverter().setProvider(BC).getCertificate(holder);
    }

    private static X509Certificate certificate(String path) throws Exception {
        return converted(holder(path));
    }

    private static PrivateKey key(String path) throws Exception {
        return new JcaPEMKeyConverter().setProvider(BC).getPrivateKey((PrivateKeyInfo) pem(path));
    }
}
