"""One container of a rendered pod as a process of this machine: what the kubelet would do for it.

Paths of mounts are moved below a folder, ports become free ones on loopback, `/sidegate` is the binary at hand. All else is as rendered:
arguments, environment, volumes, probes, hook and grace period.
"""

import base64
import contextlib
import http.client
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from manifests import Document
from volume import Volume

# Where the images have the program (see the Dockerfile).
PROGRAM = "/sidegate"
CONFIG = "etc/sidegate/proxy.yaml"
LOOPBACK = "127.0.0.1"
# What a program may take for its start, on a machine with other work.
START = 20.0
# What the kubelet leaves a container for its end in any case.
LEAST_GRACE = 2.0


class NotOneContainer(Exception):
    """The manifests have no pod with such a container, or more than one."""


def pod_templates(documents: Iterable[Document]) -> Iterator[Document]:
    """The pods of these manifests, and those that their controllers make: each with `metadata` and `spec`."""
    for document in documents:
        match document.get("kind"):
            case "Pod":
                yield document
            case "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet":
                yield document["spec"]["template"]
            case "CronJob":
                yield document["spec"]["jobTemplate"]["spec"]["template"]
            case "List":
                yield from pod_templates(document["items"])


def containers(spec: Document) -> list[Document]:
    """All containers of a pod, in the order of their start."""
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def free_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]


def within(what: str, ask: Callable[[], Any], seconds: float = START) -> Any:
    """Asks until the answer counts as true, and returns it; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
    return answer


@dataclass(frozen=True)
class End:
    """How a container ended, in seconds from the moment when its pod was deleted."""

    hook: int | None
    hook_seconds: float
    signalled: float
    seconds: float
    code: int
    killed: bool
    grace: float


class Pod:
    """The container `name` of the one pod that has it. Use as a context: nothing is left behind."""

    def __init__(self, documents: Iterable[Document], binary: Path, root: Path, name: str = "sidegate") -> None:
        documents = list(documents)
        found = [(template["spec"], one) for template in pod_templates(documents) for one in containers(template["spec"]) if one["name"] == name]
        if len(found) != 1:
            raise NotOneContainer(f"{len(found)} containers are called {name}")
        self.spec, self.container = found[0]
        self.binary, self.root = binary, root
        self.objects: dict[tuple[str, str], Document] = {}
        self.ports: dict[int, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self._volumes: list[tuple[Document, Volume]] = []
        self._mounts = sorted((mount["mountPath"].rstrip("/") for mount in self.container.get("volumeMounts", [])), key=len, reverse=True)
        self._learn(documents)
        self._mount()

    # What the API server holds.

    def apply(self, documents: Iterable[Document]) -> None:
        """Other ConfigMaps and Secrets, as after an upgrade: the kubelet brings them to the volumes that show them."""
        self._learn(documents)
        for source, volume in self._volumes:
            volume.write(self._files(source))

    def _learn(self, documents: Iterable[Document]) -> None:
        for document in documents:
            if document.get("kind") in ("ConfigMap", "Secret"):
                self.objects[document["kind"], document["metadata"]["name"]] = document
                for text in document.get("data", {}).values() if document["kind"] == "ConfigMap" else ():
                    for port in re.findall(r"address:\s*[\"']?(?:[\d.]+|\[[\d:a-f]*\]|localhost):(\d+)", text):
                        self.ports.setdefault(int(port), free_port())
        for port in self.container.get("ports", []):
            self.ports.setdefault(port["containerPort"], free_port())

    # Its volumes.

    def _mount(self) -> None:
        sources = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        for mount in self.container.get("volumeMounts", []):
            source, folder = sources[mount["name"]], self.root / mount["mountPath"].strip("/")
            if any(kind in source for kind in ("configMap", "secret", "projected")):
                kind = next(kind for kind in ("configMap", "secret", "projected") if kind in source)
                volume = Volume(folder, source[kind].get("defaultMode", 0o644))
                volume.write(self._files(source))
                self._volumes.append((source, volume))
            else:
                folder.mkdir(parents=True, exist_ok=True)

    def _files(self, source: Document) -> dict[str, bytes]:
        if "projected" in source:
            files: dict[str, bytes] = {}
            for part in source["projected"]["sources"]:
                files |= self._files(part)
            return files
        kind, reference = ("ConfigMap", source["configMap"]) if "configMap" in source else ("Secret", source["secret"])
        name = reference.get("name") or reference["secretName"]
        document = self.objects.get((kind, name))
        if document is None:
            assert reference.get("optional"), f"there is no {kind} {name}"
            return {}
        content = self._content(document)
        if "items" in reference:
            return {item["path"]: content[item["key"]] for item in reference["items"]}
        return content

    def _content(self, document: Document) -> dict[str, bytes]:
        if document["kind"] == "ConfigMap":
            return {name: self.here(text).encode() for name, text in (document.get("data") or {}).items()}
        content = {name: base64.b64decode(text) for name, text in (document.get("data") or {}).items()}
        return content | {name: text.encode() for name, text in (document.get("stringData") or {}).items()}

    # Its words, on this machine.

    def here(self, text: str) -> str:
        """The text with the paths of its mounts below the folder, and with ports that are free."""
        for mount in self._mounts:
            text = re.sub(rf"(?<![\w.-]){re.escape(mount)}(?![\w-])", f"{self.root}{mount}", text)
        for port, free in self.ports.items():
            text = re.sub(rf"(?:0\.0\.0\.0|127\.0\.0\.1|\[::1?\]|localhost):{port}\b", f"{LOOPBACK}:{free}", text)
        return text

    def command(self, words: list[str]) -> list[str]:
        """A command of the container, for this machine."""
        environment = self.environment()
        expanded = [re.sub(r"\$\((\w+)\)", lambda match: environment.get(match[1], match[0]), word) for word in words]
        assert expanded[0] == PROGRAM, f"the image has no {expanded[0]}"
        return [str(self.binary), *(self.here(word) for word in expanded[1:])]

    def environment(self) -> dict[str, str]:
        """What the container says, and nothing of ours."""
        environment: dict[str, str] = {}
        for variable in self.container.get("env", []):
            value = variable["value"] if "value" in variable else self._from(variable.get("valueFrom", {}))
            if value is not None:
                environment[variable["name"]] = self.here(value)
        return environment

    def _from(self, source: Document) -> str | None:
        match source:
            case {"secretKeyRef": reference}:
                kind = "Secret"
            case {"configMapKeyRef": reference}:
                kind = "ConfigMap"
            case {"fieldRef": {"fieldPath": "status.podIP"}}:
                return LOOPBACK
            case {"fieldRef": {"fieldPath": path}}:
                return path.rsplit(".", 1)[-1]
            case _:
                raise AssertionError(f"nothing here stands for {source}")
        document = self.objects.get((kind, reference["name"]))
        content = self._content(document) if document else {}
        assert reference["key"] in content or reference.get("optional"), f"{kind} {reference['name']} has no {reference['key']}"
        return content[reference["key"]].decode() if reference["key"] in content else None

    # Its life.

    def __enter__(self) -> "Pod":
        words = self.container.get("command", [PROGRAM]) + self.container.get("args", [])
        with open(self.root / "stdout", "wb") as out, open(self.root / "stderr", "wb") as error:
            files = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": error, "cwd": self.root}
            self.process = subprocess.Popen(self.command(words), env=self.environment(), **files)
        try:
            for kind in ("startupProbe", "readinessProbe"):
                within(f"{kind}: {self.said()}", lambda kind=kind: self.probe(kind) or self._ended_early())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _ended_early(self) -> bool:
        assert self.running.poll() is None, f"it ended with {self.running.returncode}: {self.said()}"
        return False

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """Its process, once it is started."""
        assert self.process, "it was not started"
        return self.process

    def said(self) -> str:
        """The last of its messages."""
        path = self.root / "stderr"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def probe(self, kind: str) -> bool:
        """Whether a probe succeeds now. One that the container does not have does."""
        match self.container.get(kind):
            case None:
                return True
            case {"exec": {"command": words}}:
                return self._exec(words, 10).returncode == 0
            case {"httpGet": request}:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    return self.get(request["path"], self.port(request["port"]))[0] < 400
                return False
            case other:
                raise AssertionError(f"nothing here does {other}")

    def port(self, named: int | str) -> int:
        """The port here for one of the container, by name or number."""
        numbers = {port.get("name"): port["containerPort"] for port in self.container.get("ports", [])}
        return self.ports[numbers[named] if isinstance(named, str) and not named.isdigit() else int(named)]

    def get(self, path: str, port: int) -> tuple[int, str]:
        """Asks one of its listeners."""
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def _exec(self, words: list[str], seconds: float) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(words), env=self.environment(), cwd=self.root, capture_output=True, timeout=seconds, check=False)

    def end(self, others: threading.Event | None = None) -> End:
        """Ends it as the kubelet does: the hook at once, then, for a sidecar, its turn (`others` have ended), then SIGTERM, and SIGKILL
        where the grace period is over."""
        grace, begun = float(self.spec.get("terminationGracePeriodSeconds", 30)), time.monotonic()
        left = lambda: max(LEAST_GRACE, begun + grace - time.monotonic())  # noqa: E731
        hook = self._hook(grace)
        hook_seconds = time.monotonic() - begun
        if others:
            others.wait(left())
        self.running.terminate()
        signalled, killed = time.monotonic() - begun, False
        try:
            self.running.wait(left())
        except subprocess.TimeoutExpired:
            killed = True
            self.running.kill()
        code = self.running.wait()
        return End(hook, hook_seconds, signalled, time.monotonic() - begun, code, killed, grace)

    def _hook(self, seconds: float) -> int | None:
        match self.container.get("lifecycle", {}).get("preStop"):
            case None:
                return None
            case {"exec": {"command": words}}:
                try:
                    return self._exec(words, seconds).returncode
                except subprocess.TimeoutExpired:
                    return -1
            case {"sleep": {"seconds": pause}}:
                time.sleep(min(pause, seconds))
                return 0
            case other:
                raise AssertionError(f"nothing here does {other}")

    # What tests ask of it.

    def endpoint(self) -> int | str:
        """Where it listens for applications: a port here, or the path of a Unix socket."""
        return self._address("listen")

    def admin(self) -> int:
        """The port here where it listens for operators."""
        return int(self._address("admin"))

    def _address(self, section: str) -> int | str:
        address = yaml.safe_load((self.root / CONFIG).read_text())[section]["address"]
        return address.removeprefix("unix:") if address.startswith("unix:") else int(address.rsplit(":", 1)[1])

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        status, text = self.get("/metrics", self.admin())
        assert status == 200, text
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        assert values, f"there is no metric {name}"
        return sum(map(float, values))


def program() -> Path:
    """The binary at hand: `SIDEGATE_BIN`, or the debug build."""
    root = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("SIDEGATE_BIN") or Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "debug" / "sidegate")
