"""The certificates and keys of a cluster that lives for a test run: one authority, one server, one client."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=30)


def write_certificates(folder: Path, names: list[str], addresses: list[str]) -> None:
    """Write ``ca``, ``server`` (for these names and addresses) and ``client`` (an administrator).

    Each has a ``.key`` and a ``.crt``; ``accounts.key`` signs the tokens of service accounts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority = _key(folder / "ca.key")
    issuer = _name("hubops-test")
    _write(folder / "ca.crt", _sign(issuer, authority, issuer, authority, is_authority=True))
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    server = _key(folder / "server.key")
    _write(
        folder / "server.crt",
        _sign(_name("kube-apiserver"), server, issuer, authority, alternatives=alternatives),
    )
    client = _key(folder / "client.key")
    _write(folder / "client.crt", _sign(_name("administrator", "system:masters"), client, issuer, authority))
    _key(folder / "accounts.key")


def _name(common: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return key


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    authority: ec.EllipticCurvePrivateKey,
    is_authority: bool = False,
    alternatives: list[x509.GeneralName] | None = None,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # The node's clock may be behind, and some tests set one.
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        certificate = certificate.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if alternatives:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return certificate.sign(authority, hashes.SHA256())


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
