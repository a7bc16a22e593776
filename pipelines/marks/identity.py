"""Who signs: the user's own certificate, or one that is made on first use and says so."""

from __future__ import annotations

import datetime
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

INSTALL = "python -m pip install c2pa-python cryptography"
# The user's own, in the folder of the identity: `certificate: PATH` (chain, own certificate first) and `key: PATH`.
SETTINGS = "identity.yaml"
CERTIFICATE, KEY = "self-made-certificate.pem", "self-made-key.pem"
WATERMARK = "watermark.key"
NAME = "Kinetophone, self-made identity"
YEARS = 5
ALGORITHMS = {
    "secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512", "Ed25519PrivateKey": "ed25519",
    "RSAPrivateKey": "ps256",
}  # fmt: skip
# Time left below which a self-made identity is made anew.
LEAST = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A chain of certificates, own first, and the private key, both PEM; `name` is for reading."""

    certificates: str
    key: str
    name: str
    self_made: bool

    @property
    def algorithm(self) -> str:
        """The C2PA name of the signature that the key makes. Raises ValueError for a key that C2PA has none for."""
        _, _, serialization, _ = _cryptography()
        key = serialization.load_pem_private_key(self.key.encode(), None)
        kind = getattr(getattr(key, "curve", None), "name", type(key).__name__.strip("_"))
        if kind not in ALGORITHMS:
            raise ValueError(f"A key of kind {kind} cannot sign; use one of {', '.join(ALGORITHMS)}.")
        return ALGORITHMS[kind]

    @property
    def root(self) -> str:
        """The last certificate of the chain."""
        marker = "-----BEGIN CERTIFICATE-----"
        return marker + self.certificates.rsplit(marker, 1)[1]


def own_identity(folder: Path) -> Identity:
    """The identity in a folder: what its settings name, else the self-made one, made where there is none.

    Raises ModuleNotFoundError that says what to install, and ValueError for settings that cannot be used.
    """
    settings = folder / SETTINGS
    if settings.is_file():
        return _named(settings)
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not (certificate.is_file() and key.is_file()) or _expires(certificate.read_bytes()) < _now() + LEAST:
        _make(folder, certificate, key)
    return Identity(certificate.read_text("ascii"), key.read_text("ascii"), NAME, True)


def own_watermark_key(folder: Path) -> str:
    """The secret in a folder that invisible marks are drawn from, made where there is none, for the user alone."""
    path = folder / WATERMARK
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, secrets.token_hex(16).encode(), 0o600)
    return path.read_text("ascii").strip()


def _named(settings: Path) -> Identity:
    try:
        paths = yaml.safe_load(settings.read_text("utf-8"))
        certificates, key = (Path(paths[name]).expanduser().read_text("ascii") for name in ("certificate", "key"))
        name = _subject(certificates.encode())
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(
            f"{settings} cannot be used: {error}. It must name two PEM files, `certificate: PATH` (own certificate "
            "first, then its issuers) and `key: PATH`."
        ) from error
    return Identity(certificates, key, name, False)


def _make(folder: Path, certificate: Path, key: Path) -> None:
    """A root and a certificate below it, on the curve P-256; only the user may read the key."""
    _, _, serialization, ec = _cryptography()
    root_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Kinetophone, self-made root", root_key, None, root_key)
    own = _certificate(NAME, own_key, root, root_key)
    folder.mkdir(parents=True, exist_ok=True)
    secret = own_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, secret, 0o600)
    chain = own.public_bytes(serialization.Encoding.PEM) + root.public_bytes(serialization.Encoding.PEM)
    _write(certificate, chain, 0o644)


def _certificate(name: str, key: Any, issuer: Any, issuer_key: Any) -> Any:
    """An X.509 certificate as C2PA asks: a root where there is no `issuer`, else one that may only sign."""
    x509, hashes, _, _ = _cryptography()
    oid = x509.oid
    names = ((oid.NameOID.ORGANIZATION_NAME, "Kinetophone"), (oid.NameOID.COMMON_NAME, name))
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in names])
    never = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*never, "encipher_only", "decipher_only"), False)
    is_root = issuer is None
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if is_root else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - LEAST)
        .not_valid_after(_now() + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(not is_root, key_cert_sign=is_root, crl_sign=is_root, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_root:
        purposes = [oid.ExtendedKeyUsageOID.EMAIL_PROTECTION, x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")]
        built = built.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return built.sign(issuer_key, hashes.SHA256())


def _write(path: Path, data: bytes, mode: int) -> None:
    """A file that is there whole or not at all, and never readable by more than `mode` allows."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    partial.replace(path)


def _expires(pem: bytes) -> datetime.datetime:
    return _cryptography()[0].load_pem_x509_certificates(pem)[0].not_valid_after_utc


def _subject(pem: bytes) -> str:
    return _cryptography()[0].load_pem_x509_certificates(pem)[0].subject.rfc4514_string()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


def _cryptography() -> tuple[Any, Any, Any, Any]:
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"Signing needs packages that are not installed. In the Python of ComfyUI, run: {INSTALL}", name=error.name
        ) from error
    return x509, hashes, serialization, ec
