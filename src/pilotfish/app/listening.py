"""Where the dashboard listens: refused before anything starts if it must not or cannot, and told to who starts it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping

from pilotfish.app.config import process_value
from pilotfish.core.problem import Problem
from pilotfish.core.setting_values import words_of
from pilotfish.core.settings import Value

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - named to be refused


class ListenError(Problem):
    """The dashboard cannot, or must not, listen where it was told to."""


def address(env: Mapping[str, Value]) -> tuple[str, int]:
    """Host and port that the dashboard is to listen on; ``[::1]`` is ``::1``."""
    host = process_value(dict(env), "web_host").strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host, int(process_value(dict(env), "web_port"))


def check(env: Mapping[str, Value]) -> tuple[str, int]:
    """The address to listen on, checked: allowed with the tokens that are set, of this machine, and free. A port of 0
    becomes a free one. Raises :class:`ListenError`."""
    host, port = address(env)
    check_host(env, host)
    proxies(env)
    return host, check_port(host, port)


def check_host(env: Mapping[str, Value], host: str) -> None:
    """Refuse to listen beyond this machine without both tokens. What counts is what the name stands for."""
    locals_ = [_loopback(found) for _, found in _resolved(host, 0)]
    if all(locals_):
        return
    missing = [name for name in ("admin_token", "view_token") if not str(env.get(name, "")).strip()]
    if missing:
        raise ListenError(
            f"WEB_HOST={host} makes the dashboard reachable from other machines; set ADMIN_TOKEN and VIEW_TOKEN first"
            f" ({' and '.join(name.upper() for name in missing)} {'is' if len(missing) == 1 else 'are'} not set), or"
            " leave WEB_HOST at 127.0.0.1"
        )


def proxies(env: Mapping[str, Value]) -> tuple[str, ...]:
    """Addresses and networks whose ``X-Forwarded-For`` is believed. Raises :class:`ListenError` for an entry that is
    neither, and for one that names everybody: then each caller would say itself where it is."""
    named = words_of(process_value(dict(env), "web_trusted_proxies"))
    for entry in named:
        try:
            everybody = ipaddress.ip_network(entry).prefixlen == 0
        except ValueError:
            everybody = True
        if everybody:
            raise ListenError(
                f"WEB_TRUSTED_PROXIES: {entry[:60]!r} is no proxy's address or network; expected such as 127.0.0.1 or"
                " 172.18.0.0/16"
            )
    return named


def check_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises :class:`ListenError` if it is taken, or not ours to take."""
    for family, found in _resolved(host, port):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((found, port))
                port = port or int(probe.getsockname()[1])
            except OSError as problem:
                raise ListenError(
                    f"the dashboard cannot listen on {shown(host, port)} ({problem.strerror}); set WEB_PORT to another"
                    " port, or run without it (--no-web)"
                ) from None
    return port


def _resolved(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """What a name stands for: address families and addresses. Raises :class:`ListenError`."""
    try:
        if not host or any(c.isspace() or not c.isprintable() for c in host):
            raise ValueError(host)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError):
        raise ListenError(
            f"WEB_HOST={host[:60]!r} is no address or name that this machine knows; expected 127.0.0.1, ::1, or an"
            " address of this machine"
        ) from None
    return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))


def _loopback(text: str) -> bool:
    where = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(where, "ipv4_mapped", None)
    return (mapped or where).is_loopback


def asked_at(host: str, port: int) -> str:
    """The URL at which this machine itself reaches what listens there."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - named to be replaced
    return f"http://{shown(here, port)}"


def shown(host: str, port: int) -> str:
    """``host:port`` as it stands in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def greeting(env: Mapping[str, Value], host: str, port: int) -> list[str]:
    """For who starts it: where the dashboard is, and how to sign in. Never a token."""
    url = f"http://{shown(socket.gethostname() if host in EVERYWHERE else host, port)}"
    lines = [f"Dashboard: {url}"]
    if env.get("admin_token"):
        lines.append(f"To change things there, sign in with your ADMIN_TOKEN: {url}/login")
    else:
        lines.append(
            "Changing things there is off: set ADMIN_TOKEN (in .env or the environment) and start again. Commands work."
        )
    if env.get("view_token"):
        lines.append(f"Looking needs VIEW_TOKEN (or ADMIN_TOKEN), too: {url}/login")
    return lines
