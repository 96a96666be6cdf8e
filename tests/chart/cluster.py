"""A real API server, of etcd and kube-apiserver as plain processes on loopback.

There is no kubelet, no scheduler and no controller: what is created is checked, admitted and kept, and nothing runs.
"""

import json
import os
import secrets
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from pod import LOOPBACK, free_port

START = 120.0
# Who may do everything, and who may do what roles allow.
OPERATOR, TENANT = "operator", "tenant"


class Cluster:
    """Use as a context. Everything it writes is below `folder`."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder, self.tools = folder.absolute(), tools.absolute()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self._tokens = {OPERATOR: secrets.token_hex(16), TENANT: secrets.token_hex(16)}

    def __enter__(self) -> "Cluster":
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        client, peer = f"http://{LOOPBACK}:{free_port()}", f"http://{LOOPBACK}:{free_port()}"
        own = ["--name", "etcd", "--data-dir", str(self.folder / "etcd")]
        clients = ["--listen-client-urls", client, "--advertise-client-urls", client]
        peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"etcd={peer}"]
        self._run("etcd", [*own, *clients, *peers])
        self._secrets()
        self._run("kube-apiserver", self._flags(client))
        self._wait()
        for user in self._tokens:
            self._kubeconfig(user)

    def _stop(self) -> None:
        # The API server first: it tells etcd what it still has.
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, name: str, arguments: list[str]) -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            command = [self.tools / name, *arguments]
            self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder))

    def _secrets(self) -> None:
        """The key that service accounts are signed with, and the operator's token."""
        key = ["openssl", "genrsa", "-out", str(self.folder / "accounts.key"), "2048"]
        subprocess.run(key, check=True, capture_output=True)
        tokens = self.folder / "tokens.csv"
        tokens.touch(mode=0o600)
        groups = {OPERATOR: "system:masters", TENANT: "tenants"}
        tokens.write_text("".join(f"{token},{user},{user},{groups[user]}\n" for user, token in self._tokens.items()))

    def _flags(self, etcd: str) -> list[str]:
        flags = {
            "etcd-servers": etcd,
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": str(self.port),
            # A certificate of its own making goes here.
            "cert-dir": str(self.folder / "certificates"),
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": str(self.folder / "accounts.key"),
            "service-account-signing-key-file": str(self.folder / "accounts.key"),
            "service-cluster-ip-range": "10.96.0.0/24",
            "token-auth-file": str(self.folder / "tokens.csv"),
            "authorization-mode": "RBAC",
            "endpoint-reconciler-type": "none",
        }
        return [f"--{name}={value}" for name, value in flags.items()]

    def _wait(self) -> None:
        deadline = time.monotonic() + START
        while True:
            ready = ["curl", "--silent", "--insecure", "--max-time", "5", "--header", f"Authorization: Bearer {self._tokens[OPERATOR]}"]
            asked = subprocess.run([*ready, f"https://{LOOPBACK}:{self.port}/readyz"], capture_output=True, text=True, check=False)
            if asked.stdout == "ok":
                return
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                log = "".join((self.folder / f"{name}.log").read_text()[-3000:] for name in ("etcd", "kube-apiserver"))
                raise RuntimeError(f"the API server did not start ({ended}): {asked.stdout}\n{log}")
            time.sleep(0.3)

    def _kubeconfig(self, user: str) -> None:
        authority = str(self.folder / "certificates" / "apiserver.crt")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"https://{LOOPBACK}:{self.port}", "certificate-authority": authority}}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": user, "namespace": "default"}}],
        }
        file = self.folder / user
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(config))

    def environment(self, user: str) -> dict[str, str]:
        """For programs that talk to it, and keep nothing anywhere else."""
        homes = {name: str(self.folder / "home") for name in ("HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")}
        return {"PATH": os.environ["PATH"], "KUBECONFIG": str(self.folder / user), "NO_PROXY": LOOPBACK, **homes}

    def run(self, *words: str | Path, given: str | None = None, user: str = OPERATOR) -> subprocess.CompletedProcess[str]:
        """Runs a program against it. Standard output and standard error are kept apart: warnings come by the second."""
        return subprocess.run(words, input=given, env=self.environment(user), capture_output=True, text=True, timeout=180, check=False)

    def kubectl(self, *words: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """`kubectl`, which must succeed."""
        done = self.run("kubectl", *words, given=given)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(map(str, words))}: {done.stderr}")
        return done

    def get(self, *words: str) -> Any:
        """What `kubectl get` returns, as data."""
        return json.loads(self.kubectl("get", *words, "--output", "json").stdout)

    def apply(self, *documents: Any) -> None:
        """Creates objects, or changes them. Large ones too: CRDs are larger than an annotation may be."""
        self.kubectl("apply", "--server-side", "--filename", "-", given=yaml.safe_dump_all(documents))

    def version(self) -> str:
        """Of the API server."""
        return json.loads(self.kubectl("get", "--raw", "/version").stdout)["gitVersion"]
