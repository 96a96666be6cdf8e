"""The chart's own timings, untouched, under load: rolling updates of a gateway, and the end of a pod with a sidecar."""

import re
from pathlib import Path

import yaml

from figures import Table
from manifests import Document, rendered
from pod import pod_templates, program
from rollout import Crowd, Rollout, end_together, roll_out, simulated
from shapes import ADMIN_TOKEN, SIDECARS, Shape, secret, values

CROWD = Crowd(kept=20, fresh=6, streams=60, tokens=1200)
# The application of a sidecar makes calls of its own length alone.
APPLICATION = Crowd(kept=8, fresh=2, streams=8, tokens=100)
TOKENS_PER_SECOND = 20
# How long an application goes on working after its SIGTERM.
LAST_WORK = 6.0


def prove(table: Table, folder: Path) -> None:
    """Two rollouts, the check that a loss is seen, and a sidecar."""
    keys = secret("sidegate-openai", {"only": "sk-of-the-pool"})
    with simulated(program(), tokens_per_second=TOKENS_PER_SECOND) as base_url:
        for name, more in {
            "a rollout by SIGTERM alone": {},
            "a rollout with `drain.preStop`": {"drain": {"preStop": True}, "admin": {"token": {"value": ADMIN_TOKEN}}},
        }.items():
            documents = [*rendered(values(base_url) | more), keys]
            timings = drain(documents)
            # As late as it may be, with two seconds in hand.
            heard_after = seconds(timings["delay"]) - 2
            told = f"delay {timings['delay']}, timeout {timings['timeout']}, grace {grace(documents)} s"
            report(table, name, told, heard_after, roll_out(documents, program(), folder / name.split()[-1].strip("`"), CROWD, heard_after))
        documents = [*rendered(values(base_url) | {"drain": {"delay": "0s"}}), keys]
        late = roll_out(documents, program(), folder / "late", CROWD, 3)
        table.hold("the check: `delay: 0s`, heard of after 3 s: lost", len(late.lost), "> 0", bool(late.lost))
        for shape in SIDECARS:
            sidecar(table, shape, base_url, folder / shape.name)


def report(table: Table, name: str, told: str, heard_after: float, rollout: Rollout) -> None:
    """The rows of one rollout."""
    end = rollout.end
    table.tell(f"{name}: timings as rendered", told)
    table.tell(f"{name}: other nodes hear of it after", f"{heard_after:.0f} s")
    table.tell(f"{name}: streams open when the pod was deleted", rollout.open_streams)
    table.tell(f"{name}: replies of the old pod after that", rollout.after)
    table.hold(f"{name}: lost", f"{len(rollout.lost)} of {rollout.requests + rollout.streams + len(rollout.lost)}", "0", not rollout.lost)
    table.hold(f"{name}: exit code", end.code, "0", end.code == 0)
    table.hold(f"{name}: from deletion to the end", f"{end.seconds:.1f} s", f"< {end.grace:.0f} s", end.seconds < end.grace and not end.killed)
    if end.hook is not None:
        table.hold(f"{name}: the hook", f"{end.hook}, {end.hook_seconds:.2f} s", "0", end.hook == 0)
    for lost in rollout.lost[:5]:
        table.tell("", lost[:100])


def sidecar(table: Table, shape: Shape, base_url: str, folder: Path) -> None:
    """The pod is deleted; the application works on for a while, and its sidecar must not go before it, nor stay behind."""
    end, load = end_together(shape.documents(base_url, {"only": "sk-of-the-pool"}), program(), folder, APPLICATION, LAST_WORK)
    name, lost, behind = shape.name, len(load.lost), end.seconds - end.signalled
    table.hold(f"{name}: calls of its application lost", f"{lost} of {load.requests + load.streams + lost}", "0", lost == 0)
    table.hold(f"{name}: SIGTERM, after the application", f"{end.signalled:.1f} s", f"> {LAST_WORK:.0f} s", end.signalled > LAST_WORK)
    table.hold(f"{name}: from SIGTERM to its end", f"{behind:.2f} s", "< 3 s", behind < 3)
    table.hold(f"{name}: exit code", end.code, "0", end.code == 0)
    for one in load.lost[:5]:
        table.tell("", one[:100])


def drain(documents: list[Document]) -> Document:
    """`drain:` of the config as rendered."""
    [text] = [document["data"]["proxy.yaml"] for document in documents if "proxy.yaml" in document.get("data", {})]
    return yaml.safe_load(text)["drain"]


def grace(documents: list[Document]) -> int:
    """Of the one pod."""
    [template] = pod_templates(documents)
    return template["spec"]["terminationGracePeriodSeconds"]


def seconds(period: str) -> float:
    """A period of the config, such as `1m30s`."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h)", period))
