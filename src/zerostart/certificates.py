"""This installation's certificate authority, and certificates of it for one host at a time.

Only programs that are told of it trust it. Its key is readable by this user alone, and the authority is constrained to
names of AWS, of this machine and of private networks, so that it could not vouch for any site of others even if the key
were stolen.
"""

import contextlib
import datetime as dt
import ipaddress
import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from zerostart.errors import InvalidSettings

# Names of AWS for `zerostart run`, and for `serve --tls` what is nobody's on the internet: private names and addresses
# (RFC 6761, 6762, 8375, ICANN's .internal; RFC 1918, 3927, 4193, 4291), with this machine's own names.
_NAMES = (
    *("amazonaws.com", "amazonaws.com.cn", "api.aws"),
    *("localhost", "local", "internal", "home.arpa"),
)
_ADDRESSES = (
    *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)
_HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
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

    def publish(self, path: Path) -> None:
        """Write the certificate, without its key, where clients may read it."""
        temporary = path.with_suffix(".new")
        temporary.write_bytes(self.certificate_pem)
        temporary.rename(path)

    def refuse_others(self, hosts: Sequence[str]) -> None:
        """Raise InvalidSettings for a name or address that this authority may not vouch for."""
        constraints = self._certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        permitted = constraints.permitted_subtrees or []
        for host in hosts:
            if not any(_covers(subtree, _general_name(host)) for subtree in permitted):
                raise InvalidSettings(
                    f"This installation's authority may not vouch for {host}: it is for private names and addresses. "
                    f"Give --tls-cert and --tls-key of an authority that may. (If {host} has become this machine's "
                    f"name, remove {self.path}: the next start makes another authority.)"
                )

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


def renewing_context(authority: Authority, hosts: Sequence[str]) -> ssl.SSLContext:
    """A server's context for these hosts, whose certificate is made anew every day that connections come."""
    authority.refuse_others(hosts)
    of_day = lru_cache(maxsize=1)(lambda _day: authority.server_context(*hosts))

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = of_day(int(time.time()) // 86400)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.sni_callback = choose
    return context


def own_names() -> list[str]:
    """This machine's names, short and full."""
    names = (socket.gethostname(), socket.getfqdn())
    return sorted({name.lower() for name in names if _HOST_NAME.fullmatch(name.lower())})


def subject_names(certificate: Path) -> list[str]:
    """The names and addresses that a certificate file (PEM) is for; wildcards are none."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
        names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


class HostCertificates:
    """TLS contexts of an authority, one for each host that was asked for lately."""

    def __init__(self, authority: Authority) -> None:
        self.context = lru_cache(maxsize=256)(authority.server_context)


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Zerostart, this installation only")])
    permitted: list[x509.GeneralName] = [x509.DNSName(each) for each in {*_NAMES, *own_names()}]
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


def _covers(subtree: x509.GeneralName, name: x509.GeneralName) -> bool:
    """Whether a constraint permits a name, as RFC 5280 has it."""
    if isinstance(subtree, x509.IPAddress) and isinstance(name, x509.IPAddress):
        return ipaddress.ip_address(str(name.value)) in ipaddress.ip_network(str(subtree.value))
    if isinstance(subtree, x509.DNSName) and isinstance(name, x509.DNSName):
        return f".{name.value.lower()}".endswith(f".{subtree.value}")
    return False


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
