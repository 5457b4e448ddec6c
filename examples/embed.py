"""The router inside a program, without a socket: ``python -m examples.embed``. It tells a short story and ends.

Sessions speak the same protocol as over the wire, through the same rules and commits. The program runs under trio.
"""

from __future__ import annotations

import trio

from router import open_router

HOUSE = {
    "services": [{"id": "support", "members": [{"agent": "ana"}, {"agent": "bo"}]}],
    "agents": [{"id": "ana", "capacity": {"chat": 1}}, {"id": "bo", "capacity": {"chat": 1}}],
}


async def main() -> None:
    """Kari writes, Ana answers and snoozes; when Kari writes again, the first free agent gets it."""
    async with open_router(HOUSE) as house:  # store="sqlite:///file.db" would make it remember
        ana = await house.connect(role="agent", sub="ana")
        bo = await house.connect(role="agent", sub="bo")
        kari = await house.connect(role="contact", sub="kari", name="Kari")
        for agent in (ana, bo):
            await agent.call("agent.set_availability", available=True)

        started = await kari.call("conversation.start", service="support", text="My invoice is wrong")
        chat = started["conversation"]["id"]
        async for notice in ana:
            if notice.method == "conversation.assigned":
                print(f"ana got {chat}: {notice.params['reason']}")
                break

        await ana.call("message.send", conversation=chat, text="I have asked our accountant")
        snoozed = await ana.call("conversation.snooze", {"conversation": chat, "for": "3h"})
        print(f"ana snoozed it until {snoozed['conversation']['snoozed_until']}; her slot is free")

        await kari.call("message.send", conversation=chat, text="I found the right one myself!")
        async for notice in bo:  # bo has been idle for longest
            if notice.method == "conversation.assigned":
                print(f"bo got {chat}: {notice.params['reason']}")
                break

        await bo.call("conversation.close", conversation=chat)
        page = await bo.call("conversation.get", conversation=chat)
        for entry in page["entries"]:
            print(f"{entry['seq']:>3}  {entry['type']:<9}  {entry.get('text') or entry.get('reason') or ''}")


if __name__ == "__main__":
    trio.run(main)
