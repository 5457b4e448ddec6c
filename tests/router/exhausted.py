"""A house that runs out of file descriptors, in a process of its own: prints what became of it as JSON."""

import json
import os
import resource

import structlog
import trio
from network import ASK, head, house, masked

MAX = 64  # file descriptors, of this process


async def main() -> dict[str, object]:
    async with house() as built:
        good = await (await built.raw()).opened()
        spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (MAX, MAX))
        waiting = []
        with structlog.testing.capture_logs() as log:
            try:
                while True:
                    waiting.append(await trio.open_tcp_stream("127.0.0.1", built.port))
            except* OSError:  # we are one process: the client has none left either
                pass
            for descriptor in spare:  # enough for clients, whom the server then cannot take
                os.close(descriptor)
                waiting.append(await trio.open_tcp_stream("127.0.0.1", built.port))
            await good.works()
            await trio.sleep(0.35)  # a few of the server's pauses
            await good.works()
            for stream in waiting:
                await stream.aclose()
            with trio.fail_after(10):
                late = await built.plain()
                await late.send(head())
                answer = await late.response_head()
                await (await late.opened()).send(masked(ASK))
        warnings = [entry for entry in log if entry["event"] == "listener.cannot_accept"]
        return {
            "served_meanwhile": True,
            "warnings": len(warnings),
            "served_after": answer.startswith(b"HTTP/1.1 101 "),
        }


if __name__ == "__main__":
    print(json.dumps(trio.run(main)))
