"""A mounted ConfigMap or Secret, laid out and exchanged as the kubelet does it (`pkg/volume/util/atomic_writer.go` of Kubernetes).

    proxy.yaml -> ..data/proxy.yaml
    ..data -> ..2026_11_22_10_31_04.1402396147
    ..2026_11_22_10_31_04.1402396147/proxy.yaml
"""

import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

DATA = "..data"
NEW_DATA = "..data_tmp"


class Volume:
    """One mounted directory. Its files are those of the last `write`."""

    def __init__(self, folder: Path, mode: int = 0o644) -> None:
        self.folder = folder
        self.mode = mode
        folder.mkdir(parents=True)

    def files(self) -> dict[str, bytes]:
        """What a reader of the directory finds, through the links."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if not path.name.startswith("..")}

    def write(self, files: Mapping[str, bytes]) -> bool:
        """Puts these files in the place of all there are. Whether anything had to be done: equal contents are left alone."""
        if self._is_written() and self.files() == dict(files):
            return False
        before = self._stamped()
        stamped = self._new_folder(files)
        (self.folder / NEW_DATA).symlink_to(stamped.name)
        # The one step that a reader sees: every file changes at once.
        os.rename(self.folder / NEW_DATA, self.folder / DATA)
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"{DATA}/{name}")
        for path in self.folder.iterdir():
            if not path.name.startswith("..") and path.name not in files:
                path.unlink()
        if before:
            shutil.rmtree(before)
        return True

    def _is_written(self) -> bool:
        return (self.folder / DATA).is_symlink()

    def _stamped(self) -> Path | None:
        return self.folder / os.readlink(self.folder / DATA) if self._is_written() else None

    def _new_folder(self, files: Mapping[str, bytes]) -> Path:
        stamped = self.folder / f"{datetime.now(UTC):..%Y_%m_%d_%H_%M_%S}.{secrets.randbelow(10**10)}"
        stamped.mkdir(mode=0o755)
        for name, content in files.items():
            (stamped / name).write_bytes(content)
            (stamped / name).chmod(self.mode)
        return stamped
