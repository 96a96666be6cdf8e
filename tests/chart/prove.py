"""The area `chart` of scripts/prove: the chart before a real API server, and its own timings under load."""

import argparse
import sys
import tempfile
from pathlib import Path

import prove_drain
import prove_server
from figures import Table


def main() -> int:
    """Prints one table; 0 if every bar holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("all", "server", "drain"), default="all")
    parser.add_argument("--tools", type=Path, required=True)
    arguments = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.part != "drain":
            prove_server.prove(table, arguments.tools, Path(folder) / "server")
        if arguments.part != "server":
            prove_drain.prove(table, Path(folder) / "drain")
    table.print()
    return 0 if table.holds else 1


if __name__ == "__main__":
    sys.exit(main())
