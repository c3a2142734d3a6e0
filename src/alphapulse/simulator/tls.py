"""TLS for the simulated exchange: a certificate authority that lives as long as the process.

For clients that cannot be given another address: their resolver is bent to 127.0.0.1 and they
trust this authority, so that they speak to ``https://api.binance.com`` and never leave the machine.
The authority's key is never written down; nobody else can sign with it.
"""

import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALIDITY = timedelta(days=30)

# A client whose clock is a little behind ours must not find the certificate too young.
BACKDATED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LocalAuthority:
    """``certificate_pem`` is what clients trust; ``server`` is what the server presents."""

    certificate_pem: bytes
    server: ssl.SSLContext

    @classmethod
    def create(cls, hosts: Iterable[str], now: datetime) -> "LocalAuthority":
        """An authority and its one certificate, for ``hosts`` and ``localhost``."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        name = _name("AlphaPulse simulated exchange")
        root = (
            _certificate(name, name, root_key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False
            )
            .sign(root_key, hashes.SHA256())
        )
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(host) for host in sorted({*hosts, "localhost"})]
        leaf = (
            _certificate(_name("simulated exchange"), name, leaf_key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        return cls(_pem(root), _server_context(leaf, leaf_key))

    def client_context(self) -> ssl.SSLContext:
        """For a client in this process: trusts this authority and nobody else."""
        return ssl.create_default_context(cadata=self.certificate_pem.decode())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALIDITY)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _server_context(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # OpenSSL reads certificates from files only; these are gone before anybody connects.
    with tempfile.TemporaryDirectory(prefix="alphapulse-simulator-") as folder:
        path = Path(folder) / "leaf.pem"
        path.touch(mode=0o600)
        path.write_bytes(
            _pem(certificate)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context.load_cert_chain(path)
    return context
