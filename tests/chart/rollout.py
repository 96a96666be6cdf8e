"""A rolling update under load: a new pod is ready, the old one is deleted, and nobody may notice."""

import contextlib
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pod import Document, End, Pod, within
from service import Load, Service


@dataclass(frozen=True)
class Crowd:
    """How many clients of each kind there are, and how long their streams are at most, in tokens."""

    kept: int
    fresh: int
    streams: int
    tokens: int


@dataclass(frozen=True)
class Rollout:
    """What came of it."""

    end: End
    open_streams: int
    # Requests and streams that were served whole, from the first to the last.
    requests: int
    streams: int
    # Of these, requests that the old pod served after it was told to leave.
    after: int
    lost: list[str]


@contextlib.contextmanager
def simulated(binary: Path, *, tokens_per_second: int) -> Iterator[str]:
    """The simulated provider: its base URL."""
    words = ["mock", "--listen", "127.0.0.1:0", "--first-token", "20ms", "--tokens-per-second", str(tokens_per_second), "--length", "1000"]
    with subprocess.Popen([binary, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            address = re.search(r"http://[^/\s]+", line)
            assert address, f"the simulated provider does not say where it listens: {line}"
            yield f"{address[0]}/v1"
        finally:
            process.kill()


def roll_out(documents: list[Document], binary: Path, folder: Path, crowd: Crowd, heard_after: float) -> Rollout:
    """Replaces a pod of these manifests by another one; the nodes hear of it so many seconds after the old one was deleted."""
    service = Service()
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(Pod(documents, binary, folder / "old"))
        service.add(old.endpoint())
        load = Load(service, kept=crowd.kept, fresh=crowd.fresh, streams=crowd.streams, tokens=crowd.tokens)
        stack.callback(load.stop)
        within("every stream is open", lambda: load.open_streams == crowd.streams)
        new = stack.enter_context(Pod(documents, binary, folder / "new"))
        service.add(new.endpoint())
        within("both pods serve", lambda: served(new) > 0 and served(old) > 0)
        before, open_streams = served(old), load.open_streams
        hears = threading.Timer(heard_after, service.remove, [old.endpoint()])
        hears.start()
        end = old.end()
        hears.join()
        # The service goes on without it.
        count = load.requests
        within("requests go on", lambda: load.requests >= count + 20 or len(load.lost) > 1000)
        load.stop()
        after = len((folder / "old" / "stdout").read_bytes().splitlines()) - before
        return Rollout(end, open_streams, load.requests, load.streams, after, load.lost)


def served(pod: Pod) -> int:
    """The lines of its access log so far: replies that have come to their end."""
    return len((pod.root / "stdout").read_bytes().splitlines())


def end_together(documents: list[Document], binary: Path, folder: Path, crowd: Crowd, works_on: float) -> tuple[End, Load]:
    """Deletes a pod of an application with a sidecar. The application goes on for so many seconds, finishes what it has begun, and ends."""
    service, ended = Service(), threading.Event()
    with contextlib.ExitStack() as stack:
        sidecar = stack.enter_context(Pod(documents, binary, folder))
        service.add(sidecar.endpoint())
        load = Load(service, kept=crowd.kept, fresh=crowd.fresh, streams=crowd.streams, tokens=crowd.tokens)
        stack.callback(load.stop)
        within("every stream is open", lambda: load.open_streams == crowd.streams)

        def leave() -> None:
            time.sleep(works_on)
            load.stop()
            ended.set()

        leaving = threading.Thread(target=leave, daemon=True)
        leaving.start()
        end = sidecar.end(others=ended)
        leaving.join()
        return end, load
