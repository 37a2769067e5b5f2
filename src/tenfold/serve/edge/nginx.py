"""The contract as a configuration of nginx with njs. It starts no server.

Why each line is as it is stands in the files it writes (`nginx.conf` and `edge.js` in this folder).
"""

from __future__ import annotations

from pathlib import Path

from tenfold.serve.edge.emission import EdgeConfig, filled, written
from tenfold.serve.edge.escaping import CONTEXTS

_PLAIN = {"url": "A-Za-z0-9_.~-"}
"""What a slot header may hold so that no escaping is needed, where it is not the wider set."""
_PLAIN_ELSE = "A-Za-z0-9 _.~-"


def emit_nginx(config: EdgeConfig) -> list[Path]:
    """Write it; `nginx -c FOLDER/nginx.conf` runs it. Returns the files."""
    folder = config.folder.absolute()
    values = {
        "DIR": folder,
        "CACHE": folder / "cache",
        "MODULES": config.modules,
        "WORKERS": config.workers or "auto",
        "ORIGIN": "{}:{}".format(*config.upstream()),
        "LISTEN": config.listen,
        "ADMIN": config.admin,
        "INNER": config.inner,
        "CACHE_MB": config.cache_mb,
        # 128 bytes an entry; an answer is 4 kB on disk at least.
        "ZONE_MB": max(1, config.cache_mb // 32),
        "READ_TIMEOUT_S": config.read_timeout_s,
        "MAX_REQUEST_MB": config.max_request_mb,
        "TRUSTED": "".join(f"{network} 1; " for network in config.trusted),
        "SLOTS": "\n".join(_slot(name) for name in config.slots),
        "DROPPED": "\n".join(
            f'            proxy_set_header X-Tenfold-Slot-{name.replace("_", "-")} "";'
            for name in config.slots
        ),
        "EXPORTS": "".join(
            f",\n    slot_{name}_{context}: (r) => {context}(value(r, '{name}'))"
            for name in config.slots
            for context in CONTEXTS
        ),
    }
    made = written(
        config,
        {
            "nginx.conf": filled("nginx.conf", values),
            "edge.js": filled("edge.js", values),
            "README.md": filled("nginx.md", values),
        },
    )
    (folder / "tmp").mkdir(exist_ok=True, mode=0o700)
    return made


def _slot(name: str) -> str:
    header = f"$http_x_tenfold_slot_{name}"
    lines = [
        f'    map "$tf_trusted {header}" $tf_hop_{name} {{ default ""; '
        f'"~^1 (?:[A-Za-z0-9_.~ -]|%[0-9A-Fa-f]{{2}})+$" {header}; }}'
    ]
    for context in CONTEXTS:
        variable = f"slot_{name}_{context}"
        plain = _PLAIN.get(context, _PLAIN_ELSE)
        lines += [
            f"    js_set $tf_{variable} edge.{variable};",
            f'    map "$tf_trusted$tf_no_token {header}" ${variable} {{ default $tf_{variable}; '
            f'"~^(?:01|11 $)" ""; "~^1[01] [{plain}]+$" {header}; }}',
        ]
    return "\n".join(lines) + "\n"
