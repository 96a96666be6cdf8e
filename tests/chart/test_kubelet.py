"""What the other tests take a kubelet for is one."""

import os
from pathlib import Path

from volume import Volume


def test_a_volume_is_laid_out_and_exchanged_as_the_kubelet_does_it(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    assert volume.write({"proxy.yaml": b"one", "prices.yaml": b"prices"})
    link = os.readlink(volume.folder / "..data")
    assert (os.readlink(volume.folder / "proxy.yaml"), link[:4]) == ("..data/proxy.yaml", "..20")
    with open(volume.folder / "proxy.yaml", "rb") as held:
        assert volume.write({"proxy.yaml": b"two", "more.yaml": b"more"})
        assert held.read() == b"one", "who has the old file open reads the old file"
    assert volume.files() == {"proxy.yaml": b"two", "more.yaml": b"more"}
    entries = sorted(path.name for path in volume.folder.iterdir())
    assert entries == [os.readlink(volume.folder / "..data"), "..data", "more.yaml", "proxy.yaml"] and link not in entries


def test_equal_contents_are_left_alone(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "config")
    volume.write({"proxy.yaml": b"one"})
    link = os.readlink(volume.folder / "..data")
    assert not volume.write({"proxy.yaml": b"one"})
    assert os.readlink(volume.folder / "..data") == link
