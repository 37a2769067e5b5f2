"""The contract as VCL for Varnish 7.1 with varnish-modules. It starts no server.

Why each line is as it is stands in the files it writes (`varnish.vcl` and `varnish_run` in this folder).
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from tenfold.serve.edge.emission import EdgeConfig, filled, written


def emit_varnish(config: EdgeConfig) -> list[Path]:
    """Write it; FOLDER/run runs it. Returns the files."""
    folder = config.folder.absolute()
    host, port = config.upstream()
    headers = [(name, "X-Tenfold-Slot-" + name.replace("_", "-")) for name in config.slots]
    values = {
        "DIR": folder,
        "ORIGIN_HOST": host.strip("[]"),
        "ORIGIN_PORT": port,
        "LISTEN": config.listen,
        "ADMIN": config.admin,
        "CACHE_MB": config.cache_mb,
        "READ_TIMEOUT_S": config.read_timeout_s,
        "PURGE": config.secrets.purge,
        "TRUSTED": "".join(f"    {_network(network)};\n" for network in config.trusted),
        "DROPPED_REQ": "\n".join(f"            unset req.http.{header};" for _, header in headers),
        "DROPPED_BEREQ": "\n".join(f"    unset bereq.http.{header};" for _, header in headers),
        "SLOTS": "\n".join(
            f'    if (req.url ~ "^/\\.tenfold/slot/[a-z]+/{name}\\?") {{\n'
            f"        set req.http.X-Tf-Value = req_top.http.{header};\n    }}"
            for name, header in headers
        ),
    }
    made = written(
        config,
        {
            "edge.vcl": filled("varnish.vcl", values),
            "run": filled("varnish_run", values),
            "README.md": filled("varnish.md", values),
        },
    )
    (folder / "run").chmod(0o755)
    return made


def _network(text: str) -> str:
    network = ip_network(text)
    return f'"{network.network_address}"/{network.prefixlen}'
