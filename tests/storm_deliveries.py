"""The part of storms that plays connectors: they come and report, again, late and wrongly; failed messages go again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.effects import Output, Tell
from protocol.notices import ConnectorDeliver
from protocol.records import DeliveryOf

if TYPE_CHECKING:
    from tests.storm import Storm

STATUSES = ("sent", "delivered", "delivered", "read", "failed", "failed")


class Deliveries:
    """What connectors do in a storm."""

    def __init__(self, storm: Storm) -> None:
        self.storm = storm
        self.reported: list[int] = []  # messages of which a connector has said something

    def act(self) -> None:
        """Report on some messages, most of them still unreported; the backend sends some failed ones again."""
        storm, rng = self.storm, self.storm.rng
        for name, channel in sorted(storm.world.core.house.channels.items()):
            if rng.random() < 0.1:
                storm.world.open(f"connector:{name}")
            for _ in range(rng.randint(0, 3)):
                known = sorted(channel.pending) if channel.pending and rng.random() < 0.7 else self.reported
                if known:
                    self.reported.append(rng.choice(known))
                    status = rng.choice(STATUSES)
                    storm._say(f"connector:{name}", "connector.delivered", entry=self.reported[-1], status=status)
        for item in storm._say("backend", "outbox.list", limit=rng.randint(1, 3)).items:
            if rng.random() < 0.5:
                storm._say("backend", "outbox.retry", kind="message", id=item.id)

    def check(self, out: Output) -> None:
        """What goes out is wanted: nothing that was acknowledged goes again."""
        tells = (item for item in out.outgoing if isinstance(item, Tell))
        for notice in (item.notice for item in tells if isinstance(item.notice, ConnectorDeliver)):
            record = self.storm.world.store.read([DeliveryOf(notice.entry.seq)])[0]
            assert record.status == "pending", f"{record.seq} goes out again though it was {record.status}"
