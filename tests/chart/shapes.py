"""The ways in which pods get Sidegate: the chart as a gateway, the chart as a sidecar, and the plain manifests of the examples."""

import base64
import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from manifests import Document, example_files, loaded, rendered, rendered_application

# More than the loopback host and the port: what the examples leave to their reader.
ADMIN_TOKEN = "a-token-of-the-tests"


@dataclass(frozen=True)
class Shape:
    """One of them: its manifests before the provider at a base URL, with some sections of the config in place of its own."""

    name: str
    keys: str
    make: Callable[..., list[Document]]

    def documents(self, base_url: str, keys: dict[str, str], **sections: Any) -> list[Document]:
        """All that the pod needs, with these provider keys by their names."""
        return [*self.make(base_url, **sections), secret(self.keys, keys), secret("sidegate-admin", {"token": ADMIN_TOKEN})]


def secret(name: str, entries: dict[str, str]) -> Document:
    """A Secret that somebody else looks after."""
    data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def values(base_url: str, **sections: Any) -> Document:
    """For the chart: as little as it needs."""
    config = {"providers": {"openai": {"dialect": "openai", "base_url": base_url}}, "clients": {"anonymous": "free"}, **sections}
    return {"config": config, "keys": {"openai": {"existingSecret": "sidegate-openai"}}}


def gateway(base_url: str, **sections: Any) -> list[Document]:
    """The chart by itself."""
    return rendered(values(base_url, **sections))


def sidecar(base_url: str, **sections: Any) -> list[Document]:
    """The chart's sidecar in a chart of somebody's application."""
    return rendered_application({"mode": "sidecar"} | values(base_url, **sections))


def example(file: Path) -> Callable[..., list[Document]]:
    """An example, whose config speaks of the provider itself."""

    def make(base_url: str, **sections: Any) -> list[Document]:
        documents = copy.deepcopy(loaded(file))
        for document in documents:
            if document["kind"] == "ConfigMap":
                config = yaml.safe_load(document["data"]["proxy.yaml"]) | sections
                config["clients"] = config.get("clients", {}) | {"anonymous": "free"}
                config["providers"]["openai"] |= {"dialect": "openai", "base_url": base_url}
                document["data"]["proxy.yaml"] = yaml.safe_dump(config, sort_keys=False)
        return documents

    return make


GATEWAY = Shape("gateway", "sidegate-openai", gateway)
SIDECAR = Shape("sidecar", "sidegate-openai", sidecar)
SHAPES = [GATEWAY, SIDECAR, *(Shape(f"example-{file.stem}", "sidegate-openai", example(file)) for file in example_files())]
SIDECARS = [shape for shape in SHAPES if "sidecar" in shape.name]
