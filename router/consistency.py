"""What a configuration must be beyond its types: names that agree, deadlines in order, zones that exist.

``problems`` refuse to start. ``doubts`` are what only the running workspace can settle, as the backend may add
agents to what the file says; ``signalbox check-config`` counts them as wrong, the server logs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.utils import parseaddr
from ipaddress import ip_network
from typing import TYPE_CHECKING

import msgspec

from actors.hours import compiled, zone
from actors.slots import working_hours
from protocol.ids import is_printable
from protocol.params import EMAIL
from protocol.session import Limits
from protocol.settings import AgentSettings, MailSettings, ServiceSettings, Step, WorkspaceSettings

if TYPE_CHECKING:
    from router.config import Config

STORES = ("sqlite:///", "postgresql://")


def problems(config: Config) -> list[str]:
    """Why this configuration cannot be used, a sentence each; empty = it can."""
    return [*_server(config), *_limits(config.limits), *workspace_problems(config.workspace)]


def workspace_problems(workspace: WorkspaceSettings) -> list[str]:
    """The same for a workspace alone."""
    found = [*_twice("services", workspace.services), *_twice("agents", workspace.agents), *_classes(workspace)]
    found += [] if workspace.mail is None else _mail(workspace.mail)
    for index, service in enumerate(workspace.services):
        found += _service(service, f"services[{index}]")
    for index, agent in enumerate(workspace.agents):
        found += _agent(agent, f"agents[{index}]")
    return found


def doubts(workspace: WorkspaceSettings) -> list[str]:
    """Names that the configuration uses and nothing in it defines."""
    agents = {agent.id for agent in workspace.agents}
    services = {service.id for service in workspace.services}
    classes = set(workspace.channel_classes)
    return [
        f"{path}: there is no {kind} {name!r}"
        for path, kind, name in _uses(workspace)
        if name not in {"agent": agents, "service": services}.get(kind, classes)
    ]


def _uses(workspace: WorkspaceSettings) -> Iterator[tuple[str, str, str]]:
    """Every use of an agent's or a class's name: (path, kind, name)."""
    for index, service in enumerate(workspace.services):
        path = f"services[{index}]"
        for place, member in enumerate(service.members):
            yield f"{path}.members[{place}].agent", "agent", member.agent
        for place, step in enumerate(service.escalation):
            yield from ((f"{path}.escalation[{place}].agents", "agent", agent) for agent in step.agents)
            if step.service is not None:
                yield f"{path}.escalation[{place}].service", "service", step.service
        yield from ((f"{path}.max_slots", "channel class", name) for name in service.max_slots)
    for index, agent in enumerate(workspace.agents):
        yield from ((f"agents[{index}].capacity", "channel class", name) for name in agent.capacity)


def _server(config: Config) -> Iterator[str]:
    server = config.server
    if server.http_port is not None and server.http_port == server.port != 0:
        yield "server.http_port: expected another port than server.port; leave it out to share one"
    for proxy in server.proxies:
        try:
            ip_network(proxy)
        except ValueError:
            yield f"server.proxies: expected an address or a network such as 10.0.0.0/8, not {proxy!r}"
    if config.tls.key is not None and config.tls.certificate is None:
        yield "tls.certificate: expected the certificate of tls.key"
    if not config.store.url.startswith(STORES):  # the URL is not repeated: it may hold a password
        yield "store.url: expected sqlite:///path/file.db or postgresql://user@host/database"


def _limits(limits: Limits) -> Iterator[str]:
    for name, value in msgspec.structs.asdict(limits).items():
        if value < 1:
            yield f"limits.{name}: expected int >= 1"


def _twice(kind: str, items: Iterable[ServiceSettings | AgentSettings]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.id in seen:
            yield f"{kind}[{index}].id: {item.id!r} is the id of {kind}[{seen[item.id]}] already"
        seen.setdefault(item.id, index)


def _classes(workspace: WorkspaceSettings) -> Iterator[str]:
    owner: dict[str, str] = {}
    for name, channels in workspace.channel_classes.items():
        for channel in channels:
            if channel in owner:
                yield f"channel_classes.{name}: channel {channel!r} is in class {owner[channel]!r} already"
            owner.setdefault(channel, name)


def _mail(mail: MailSettings) -> Iterator[str]:
    if not is_printable(mail.sender) or not re.search(EMAIL, parseaddr(mail.sender)[1]):
        yield f"mail.sender: expected an address such as Support <support@example.org>, not {mail.sender!r}"
    if mail.unsubscribe is not None and not re.match("https://|mailto:", mail.unsubscribe):
        yield "mail.unsubscribe: expected https://… or mailto:…"
    try:
        zone(mail.time_zone)
    except ValueError as problem:
        yield f"mail.time_zone: {problem}"


def _service(service: ServiceSettings, path: str) -> Iterator[str]:
    yield from _printable(service.id, f"{path}.id")
    if service.overdue_after <= service.soon_after:
        yield f"{path}.overdue_after: expected more than soon_after, which is {service.soon_after.text()}"
    seen: set[str] = set()
    for index, member in enumerate(service.members):
        if member.agent in seen:
            yield f"{path}.members[{index}].agent: {member.agent!r} is a member already"
        seen.add(member.agent)
    for index, step in enumerate(service.escalation):
        yield from _step(step, f"{path}.escalation[{index}]")
    try:
        compiled(service.business_hours)
    except ValueError as problem:
        yield f"{path}.business_hours: {problem}"


def _step(step: Step, path: str) -> Iterator[str]:
    if step.do == "notify" and not step.agents:
        yield f"{path}.agents: expected whom to notify"
    if step.do == "move_to" and step.service is None:
        yield f"{path}.service: expected where to move it"
    if step.do == "webhook" and step.url is None:
        yield f"{path}.url: expected whom to call"


def _agent(agent: AgentSettings, path: str) -> Iterator[str]:
    yield from _printable(agent.id, f"{path}.id")
    if not _is_zone(agent.time_zone):
        yield f"{path}.time_zone: there is no time zone {agent.time_zone!r}; expected a name such as Europe/Oslo"
        return
    try:
        working_hours(agent)
    except ValueError as problem:
        yield f"{path}.working_hours: {problem}"


def _printable(text: str, path: str) -> Iterator[str]:
    if not is_printable(text):
        yield f"{path}: expected text without control characters"


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except ValueError:
        return False
    return True
