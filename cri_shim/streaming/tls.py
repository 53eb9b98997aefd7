"""The certificate of the streaming server: the operator's, or one made at each start, as containerd does.

Nobody can check the latter; it hides a session from whoever listens on the wire, and a kubelet asks for no more.
Source: `newTLSConfig` of containerd's `internal/cri/streaming`.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cri_shim.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from cryptography import x509

    from cri_shim.config.settings import TlsKeyPair

_LIFETIME = timedelta(days=365)
_NAME = "cri-shim streaming"


def server_context(pair: TlsKeyPair, host: str) -> ssl.SSLContext:
    """TLS 1.2 and later with the operator's pair, else with a new certificate for `host`. Reads files.

    Raises InvalidArgument for a pair that can't be used, FailedPrecondition where none can be made.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not pair.tls_cert_file:
        _load_new(context, host)
        return context
    try:
        context.load_cert_chain(pair.tls_cert_file, pair.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(
            f"x509_key_pair_streaming: {pair.tls_cert_file} and {pair.tls_key_file} can't be used: {error}"
        ) from error
    return context


def _load_new(context: ssl.SSLContext, host: str) -> None:
    """OpenSSL takes a pair from files alone, so it lies in one that has no name, for as long as that takes."""
    with tempfile.TemporaryFile() as file:
        file.write(_new_pair(host))
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def _subject_name(text: str) -> x509.GeneralName:
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _new_pair(host: str) -> bytes:
    """A private key and its own certificate, PEM."""
    try:
        from cryptography import x509  # noqa: PLC0415  (only here, and 40 ms)
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    except ImportError as error:
        raise FailedPrecondition(
            "enable_tls_streaming without x509_key_pair_streaming needs a certificate to be made: "
            "install cri-shim[tls], or give both files"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _NAME)])
    now = datetime.now(UTC)
    names = [_subject_name(text) for text in dict.fromkeys((host, os.uname().nodename))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
