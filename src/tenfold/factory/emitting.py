"""Configurations of other servers, for whoever is in front: `tenfold emit`.

Writes files; starts nothing and needs no factory file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tenfold.errors import UnknownName

EDGES = ("nginx", "varnish")


def emit_edge(
    kind: str,
    folder: Path,
    *,
    origin: str,
    listen: str,
    admin: str = "",
    inner: str = "",
    slots: Sequence[str] = (),
    trusted: Sequence[str] = (),
    cache_mb: int = 1024,
    secrets: Path | None = None,
) -> list[Path]:
    """Write an edge's files into `folder`, over those of an earlier time; returns them.

    `secrets` is a file that several edges share; without it the folder's own is kept, or made. Raises
    UnknownName for a kind that is none of EDGES, ConfigError for a value a configuration cannot hold.
    """
    from tenfold.serve.edge.emission import EdgeConfig, kept_secrets
    from tenfold.serve.edge.nginx import emit_nginx
    from tenfold.serve.edge.secrets import load_secrets
    from tenfold.serve.edge.varnish import emit_varnish

    if kind not in EDGES:
        raise UnknownName("edge", kind, EDGES)
    config = EdgeConfig(
        folder=folder,
        origin=origin,
        listen=listen,
        admin=admin,
        inner=inner,
        slots=tuple(slots),
        trusted=tuple(trusted),
        cache_mb=cache_mb,
        secrets=kept_secrets(folder) if secrets is None else load_secrets(secrets),
    )
    return (emit_nginx if kind == "nginx" else emit_varnish)(config)
