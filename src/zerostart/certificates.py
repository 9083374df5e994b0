"""This installation's certificate authority, and certificates of it for one host at a time.

Only programs that are told of it trust it. Its key is readable by this user alone, and the authority is constrained to
names of AWS and of this machine, so that it could not vouch for any other site even if the key were stolen.
"""

import contextlib
import datetime as dt
import ipaddress
import os
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zerostart.errors import InvalidSettings

_NAMES = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "localhost")
_ADDRESSES = ("127.0.0.0/8", "::1/128")
_AUTHORITY_DAYS = 3650
_LEAF_DAYS = 7


class Authority:
    """A certificate authority kept in one file of `folder`, made the first time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "authority.pem"
        if not self.path.exists():
            _make(self.path)
        if self.path.stat().st_mode & 0o077:
            raise InvalidSettings(f"{self.path} can be read by others: run chmod 600 {self.path}")
        content = self.path.read_bytes()
        key = serialization.load_pem_private_key(content, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - made by `_make`
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(content)

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate, without its key."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def leaf_pem(self, *hosts: str) -> bytes:
        """A new key and a certificate for these host names and addresses, valid for a week."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=_LEAF_DAYS))
            .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        return _key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM)

    def server_context(self, *hosts: str) -> ssl.SSLContext:
        """A TLS context that presents a certificate for these hosts."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        descriptor, name = tempfile.mkstemp()  # 0600; Python's ssl reads keys from files alone
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.leaf_pem(*hosts))
            context.load_cert_chain(name)
        finally:
            Path(name).unlink()
        return context


class HostCertificates:
    """TLS contexts of an authority, one for each host that was asked for lately."""

    def __init__(self, authority: Authority) -> None:
        self.context = lru_cache(maxsize=256)(authority.server_context)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Zerostart, this installation only")])
    permitted: list[x509.GeneralName] = [x509.DNSName(each) for each in _NAMES]
    permitted += [x509.IPAddress(ipaddress.ip_network(each)) for each in _ADDRESSES]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(_signs_certificates(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # 0600 from the first byte
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_key_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)  # whole, and never over the one that another program just made
    finally:
        Path(temporary).unlink()


def _signs_certificates() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
