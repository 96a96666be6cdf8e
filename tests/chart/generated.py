"""What of the chart is made of something else, and must be the same: the table in its README and descriptions in its schema, of the
comments in `values.yaml`; the schema of `config`, of `docs/proxy.schema.json`.

`UPDATE_DOCS=1 scripts/chart-tests` writes them anew.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "sidegate"
BEGIN, END = "<!-- values -->\n", "<!-- end of values -->\n"


@dataclass
class Value:
    path: str
    default: object
    comment: str
    # Whether it stands for all that is below it.
    whole: bool


def comment_above(lines, line):
    """The comment right above a line, as one paragraph."""
    found = []
    while line > 0 and (match := re.match(r"\s*# ?(.*)", lines[line - 1])):
        found.insert(0, match[1])
        line -= 1
    return " ".join(part.strip() for part in found).strip()


def values(text):
    """Every value with a comment, in the order of the file. What has none belongs to the value above it that has one."""
    lines = text.splitlines()

    def below(node, path):
        found = []
        for key, value in node.value:
            comment = comment_above(lines, key.start_mark.line)
            name = f"{path}.{key.value}" if path else key.value
            inner = below(value, name) if isinstance(value, yaml.MappingNode) and not value.flow_style else []
            default = yaml.safe_load(yaml.serialize(value))
            if comment or not inner:
                found.append(Value(name, default, comment, whole=not inner))
            found += inner
        return found if not path or any(value.comment for value in found) else []

    head = "\n".join(lines)
    return below(yaml.compose(head), "")


def cell(text):
    return text.replace("|", "\\|")


def table(text):
    rows = ["| value | default | meaning |", "| --- | --- | --- |"]
    for value in values(text):
        default = f"`{json.dumps(value.default)}`" if value.whole else ""
        rows.append(f"| `{value.path}` | {cell(default)} | {cell(value.comment)} |")
    return "\n".join(rows) + "\n"


def readme(current, text):
    """The README with the table in its place."""
    head, rest = current.split(BEGIN)
    _, tail = rest.split(END)
    return head + BEGIN + "\n" + table(text) + "\n" + END + tail


def config_definitions(proxy):
    """The schema of `proxy.yaml` below names that no other definition has. What the chart fills in is not required, and in place of
    every number, word and so on there may be a text with `${…}`, which is only known in the pod."""
    later = {"type": "string", "pattern": "\\$\\{"}
    kinds = {"integer", "number", "boolean"}

    def plain(node):
        if isinstance(node, dict) and isinstance(made := bare(node), dict):
            types = made.get("type", [])
            scalar = {"pattern", "enum", "const"} & made.keys() or kinds & ({types} if isinstance(types, str) else set(types))
            return {"anyOf": [made, later]} if scalar and "properties" not in made else made
        return bare(node)

    def bare(node):
        if isinstance(node, dict):
            if "$ref" in node:
                return {"$ref": node["$ref"].replace("#/$defs/", "#/definitions/proxy.")}
            dropped = ("description", "default", "examples", "title", "format", "$defs", "$schema")
            named = ("properties", "patternProperties")
            return {
                key: {name: plain(inner) for name, inner in value.items()} if key in named else plain(value)
                for key, value in node.items()
                if key not in dropped
            }
        return [plain(inner) for inner in node] if isinstance(node, list) else node

    whole = plain(proxy)
    whole.pop("required")
    return {"proxy": whole} | {f"proxy.{name}": plain(definition) for name, definition in proxy["$defs"].items()}


def schema(current, text, proxy):
    """The schema with its generated parts in their places."""
    made = json.loads(current)
    made["definitions"] = config_definitions(proxy)
    for value in values(text):
        node = made
        for part in value.path.split("."):
            node = node.get("properties", {}).get(part, {})
        # In draft 7 nothing counts beside a reference.
        if node and "$ref" not in node and value.comment:
            node["description"] = value.comment
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"
