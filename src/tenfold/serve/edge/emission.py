"""What an emitted configuration is made of: checked values, the text around them, the files that result.

Every value ends up in a file that a server obeys, so each must look exactly like what it is: nothing is
quoted, anything odd is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from tenfold.errors import ConfigError
from tenfold.serve.edge.secrets import EdgeSecrets, load_secrets, new_secrets, write_secrets
from tenfold.serve.edge.templates import NAME

_PATH = re.compile(r"/[A-Za-z0-9._/-]+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")
MAX_SLOT_NAMES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeConfig:
    """What one edge server is told. Raises ConfigError for a value that could be more than it seems."""

    folder: Path
    """Where the files go, and where the server keeps what it writes."""
    origin: str = "http://127.0.0.1:8080"
    """The gateway: http, a host, a port, no path."""
    listen: str = "127.0.0.1:8081"
    admin: str = ""
    """Where purges are taken. Default: listen's port + 1 on 127.0.0.1."""
    inner: str = ""
    """nginx's own second step. Default: listen's port + 2 on 127.0.0.1."""
    slots: tuple[str, ...] = ()
    """Names of slots that templates may use; both servers need them beforehand."""
    trusted: tuple[str, ...] = ()
    """Networks whose slot headers are believed."""
    cache_mb: int = 1024
    """Of stored answers: on disk (nginx), in memory (Varnish)."""
    workers: int = 0
    """Processes of nginx; 0: one per core."""
    read_timeout_s: int = 300
    """Longest silence of the origin."""
    max_request_mb: int = 64
    modules: str = "/usr/lib/nginx/modules"
    """Where nginx finds its js module."""
    secrets: EdgeSecrets = field(default_factory=new_secrets, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("folder", str(self.folder.absolute())), ("modules", self.modules)):
            if not _PATH.fullmatch(value) or ".." in value:
                raise ConfigError(
                    f"{name} cannot stand in a server's configuration", seen=value,
                    hint="letters, digits, . _ - and / only",
                )  # fmt: skip
        port = self.listening("listen")[1]
        for name, step in (("admin", 1), ("inner", 2)):
            if not getattr(self, name):
                if port + step > 65535:
                    raise ConfigError(f"no port is left for {name}", seen=self.listen)
                object.__setattr__(self, name, f"127.0.0.1:{port + step}")
        if len({self.listening(name)[1] for name in ("listen", "admin", "inner")}) < 3:
            raise ConfigError("listen, admin and inner need a port each", seen=self.listen)
        if not ip_address(self.listening("inner")[0].strip("[]")).is_loopback:
            raise ConfigError("inner is for this machine only", seen=self.inner)
        self.upstream()
        if len(self.slots) > MAX_SLOT_NAMES or len(set(self.slots)) != len(self.slots):
            raise ConfigError(f"at most {MAX_SLOT_NAMES} slots, each once", seen=len(self.slots))
        for slot in self.slots:
            if not NAME.fullmatch(slot):
                raise ConfigError("not a slot name", seen=slot, hint="lower case, digits, _")
        for network in self.trusted:
            try:
                ip_network(network)
            except ValueError:
                raise ConfigError("not a network", seen=network, hint="like 10.0.0.0/8") from None
        for name, least, most in (
            ("cache_mb", 1, 1 << 20),
            ("workers", 0, 1024),
            ("read_timeout_s", 1, 86400),
            ("max_request_mb", 1, 1024),
        ):
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {least} to {most}", seen=getattr(self, name))

    def listening(self, name: str) -> tuple[str, int]:
        """Host and port of one of the listeners; the host is an address, in brackets if it is IPv6."""
        value: str = getattr(self, name)
        host, _, port = value.rpartition(":")
        try:
            ip_address(host.strip("[]"))
            if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
                raise ValueError
            if (":" in host) != (host.startswith("[") and host.endswith("]")):
                raise ValueError
        except ValueError:
            raise ConfigError(
                f"{name} is not an address and a port", seen=value, hint="like 127.0.0.1:8081"
            ) from None
        return host, int(port)

    def upstream(self) -> tuple[str, int]:
        """Host and port of the origin."""
        wrong = ConfigError(
            "origin is not the address of a server", seen=self.origin, hint="like http://127.0.0.1:8080"
        )  # fmt: skip
        try:
            parts = urlsplit(self.origin)
            host, port = parts.hostname or "", parts.port or 80
        except ValueError:
            raise wrong from None
        if (
            parts.scheme != "http"
            or parts.path not in ("", "/")
            or parts.query
            or "@" in parts.netloc
        ):
            raise wrong
        if ":" in host:
            try:
                return f"[{ip_address(host)}]", port
            except ValueError:
                raise wrong from None
        if not _HOST.fullmatch(host):
            raise wrong
        return host, port


def filled(name: str, values: Mapping[str, object]) -> str:
    """A file of this package with its @PLACEHOLDERS@ replaced; all must have a value."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)


def written(config: EdgeConfig, files: Mapping[str, str]) -> list[Path]:
    """The files of a configuration, written. What holds a secret is for its owner only."""
    folder = config.folder.absolute()
    made = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            path = folder / name
            path.touch(mode=0o600)
            path.chmod(0o600 if config.secrets.purge in text else 0o644)
            path.write_text(text, encoding="utf-8")
            made.append(path)
        write_secrets(folder / "secrets.json", config.secrets)
    except OSError as error:
        raise ConfigError(f"cannot write: {error.strerror}", where=str(folder)) from None
    return [*made, folder / "secrets.json"]


def kept_secrets(folder: Path) -> EdgeSecrets:
    """Those that are there already, so that emitting again does not lock anybody out; else new ones."""
    path = folder / "secrets.json"
    return load_secrets(path) if path.exists() else new_secrets()
