"""An event loop on a thread of its own, so that synchronous code can run asynchronous servers beside itself."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import uvloop


@contextlib.contextmanager
def loop(name: str) -> Iterator[asyncio.AbstractEventLoop]:
    """A running loop. At the end what still runs on it is cancelled, and the thread is gone."""
    running = uvloop.new_event_loop()
    thread = threading.Thread(target=running.run_forever, name=name, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), running).result()
        running.call_soon_threadsafe(running.stop)
        thread.join()
        running.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
