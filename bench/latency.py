"""How long publishing takes over a network with a round trip of 50 ms, to the stand-in in another process.

    python bench/latency.py                      1,000 and 30,000 checks, three times each
    python bench/latency.py --checks 1000 --rtt 0.1

The delay is that of a wire: every byte arrives half a round trip later in either direction, and a connection
costs one round trip before it carries anything. Client, network and platform share this machine's cores, so
figures are upper bounds; the client's own share of the processor is printed beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

SERVER = """
import sys
from pathlib import Path
from qalita_action import sandbox
sandbox.serve("127.0.0.1", 0, Path(sys.argv[1]))
"""
TABLES = 100


def wire(listener: socket.socket, upstream: str, rtt: float) -> None:
    """Serve until killed: bytes leave half a round trip after they came."""
    host, _, port = urlsplit(upstream).netloc.partition(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def take() -> None:
            while data := await reader.read(1 << 18):
                queue.put_nowait((time.monotonic() + rtt / 2, data))
            queue.put_nowait((time.monotonic() + rtt / 2, b""))

        taking = asyncio.create_task(take())
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        await taking
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(rtt)  # the handshake
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        both = carry(reader, far_writer), carry(far_reader, writer)
        await asyncio.gather(*both, return_exceptions=True)

    async def serve() -> None:
        server = await asyncio.start_server(connected, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


def now() -> datetime:
    return datetime.now(timezone.utc)


def measured(endpoint: str, token: str, checks: int, run: int, folder: Path) -> tuple[float, float]:
    """Seconds until the receipt, and seconds of the client's processor."""
    from make_ingest import TOOL, make_ingest

    from qalita_action import publish
    from qalita_action.model import Target
    from qalita_action.redact import Secret

    ingest = make_ingest(checks, checks // 100, tables=TABLES, run_id=f"run-{checks}-{run}")
    path = publish.spool.write(ingest, b"", folder)
    began, spent = time.monotonic(), time.process_time()
    connection = publish.connect(Target(endpoint=endpoint, token=Secret(token), tool=TOOL), now=now())
    (receipt,) = publish.send(connection, [ingest], [b""], [path], is_change=False, now=now)
    took = time.monotonic() - began, time.process_time() - spent
    if receipt.status != "recorded" or receipt.rejected:
        raise SystemExit(f"{receipt.status}: {receipt.error_text}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description="Publishing over a slow network.")
    parser.add_argument("--checks", type=int, nargs="*", default=[1000, 30_000])
    parser.add_argument("--rtt", type=float, default=0.05, help="seconds of a round trip")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-c", SERVER, str(folder / "platform.db")]
        platform = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert platform.stdout is not None
        _, url, token = (platform.stdout.readline().strip().partition("=")[2] for _ in range(3))
        listener = socket.create_server(("127.0.0.1", 0))
        network = multiprocessing.get_context("fork").Process(target=wire, args=(listener, url, given.rtt))
        network.start()
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            measured(endpoint, token, 10, -1, folder)
            for checks in given.checks:
                found = [measured(endpoint, token, checks, run, folder) for run in range(given.runs)]
                times = " ".join(f"{took:.2f}" for took, _ in found)
                median, cpu = (statistics.median(column) for column in zip(*found, strict=True))
                print(f"{checks:>7,} checks: {median:.2f} s ({times}), {cpu:.2f} s of it our processor")
        finally:
            network.kill()
            network.join()
            platform.terminate()
            platform.wait(30)


if __name__ == "__main__":
    main()
