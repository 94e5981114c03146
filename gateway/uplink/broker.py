"""Where the broker is and how we prove who we are. Secrets are read from files at each connection, never kept."""

import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.errors import GatewayError
from gateway.settings.model import Cloud
from gateway.uplink.topics import Topics

if TYPE_CHECKING:
    import ssl

_PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerUnusable(GatewayError, OSError):
    """A connection can't even be tried: a credential is missing or the address is wrong."""


class ConnectionLost(GatewayError, ConnectionError):
    """A connection to the broker is over; the words say why."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker as configured, and the directory its credential files lie in."""

    cloud: Cloud
    topics: Topics
    credentials: Path

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urllib.parse.urlsplit(self.cloud.url).scheme == "mqtts"

    @property
    def has_real_credentials(self) -> bool:
        """Whether it identifies itself: then simulated data must not go there unasked."""
        cloud = self.cloud
        return bool(cloud.username or cloud.password_file or cloud.certificate or cloud.key)

    def address(self) -> tuple[str, int]:
        """(host, port). Raises BrokerUnusable."""
        try:
            parts = urllib.parse.urlsplit(self.cloud.url)
            if parts.scheme not in _PORTS or not parts.hostname:
                raise ValueError("write it as mqtt://host:1883 or mqtts://host:8883")
            return parts.hostname, parts.port or _PORTS[parts.scheme]
        except ValueError as error:
            raise BrokerUnusable(f"cloud.url {self.cloud.url!r} is no broker's address: {error}") from None

    def password(self) -> str | None:
        """The password without the newline at its end; None when none is configured. Raises BrokerUnusable."""
        if not self.cloud.password_file:
            return None
        path = self._file(self.cloud.password_file)
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, ValueError) as error:
            raise BrokerUnusable(f"the password file {path} can't be read: {error}") from error

    def tls(self) -> "ssl.SSLContext":
        """What encrypts and proves: the site's CA or the system's, our certificate. Raises BrokerUnusable."""
        import ssl

        context = ssl.create_default_context()
        try:
            if self.cloud.ca:
                context = ssl.create_default_context(cafile=str(self._file(self.cloud.ca)))
            if self.cloud.certificate:
                key = str(self._file(self.cloud.key)) if self.cloud.key else None
                context.load_cert_chain(str(self._file(self.cloud.certificate)), key)
        except (OSError, ValueError) as error:
            raise BrokerUnusable(f"the TLS files in {self.credentials} can't be used: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _file(self, name: str) -> Path:
        return self.credentials / name
