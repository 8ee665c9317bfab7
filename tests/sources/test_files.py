"""Which files are read: suffixes and hidden names · missing paths · symlinks inside and out · what is no regular file
· size, before reading · binary files · how many."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from gatekeep.sources import files
from gatekeep.sources.policies import load_policies
from gatekeep.sources.problems import DocumentErrors
from tests.sources.samples import RNG, folder


def found(path: Path) -> list[str]:
    return [file.relative for file in files.find_files(path)[0]]


def message(path: Path) -> str:
    with pytest.raises(DocumentErrors) as caught:
        load_policies([path])
    assert caught.value.problems[0].hint
    return str(caught.value)


def test_suffixes_and_hidden_names(tmp_path: Path) -> None:
    names = ["b.yml", "a.yaml", "sub/c.json", "d.txt", ".git/x.yaml", "sub/.x/y.yaml", ".z.yaml", "README.md"]
    assert found(folder(tmp_path, dict.fromkeys(names, ""))) == ["a.yaml", "b.yml", "sub/c.json"]


def test_an_empty_folder_holds_no_policies(tmp_path: Path) -> None:
    assert load_policies([tmp_path]).policies == ()


def test_a_missing_path_says_what_to_do(tmp_path: Path) -> None:
    assert "no such file or folder\n  → name the policies with -f" in message(tmp_path / "policies")


def test_a_symlink_inside_the_folder_is_followed_and_no_file_is_read_twice(tmp_path: Path) -> None:
    folder(tmp_path, {"..data/rng.yaml": RNG, "sub/a.yaml": ""})
    (tmp_path / "rng.yaml").symlink_to("..data/rng.yaml")
    (tmp_path / "sub/b.yaml").symlink_to("a.yaml")
    (tmp_path / "loop").symlink_to(".")
    assert found(tmp_path) == ["rng.yaml", "sub/a.yaml"]


@pytest.mark.parametrize("target", ["../outside/rng.yaml", "../outside", "/etc/hostname", "nowhere/at/all", "."])
def test_a_symlink_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    folder(tmp_path, {"outside/rng.yaml": RNG, "inside/x.yaml": ""})
    (tmp_path / "inside/link.yaml").symlink_to(target)
    if target == ".":
        assert found(tmp_path / "inside") == ["x.yaml"]
    elif target == "nowhere/at/all":
        assert "cannot be read" in message(tmp_path / "inside")
    else:
        assert "inside/link.yaml:1:1: this symlink leads out of the folder" in message(tmp_path / "inside")


def test_a_folder_beside_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    folder(tmp_path, {"in/x.yaml": "", "in-secret/y.yaml": RNG})
    (tmp_path / "in/link.yaml").symlink_to("../in-secret/y.yaml")
    assert "leads out of the folder" in message(tmp_path / "in")


def test_the_named_folder_may_be_a_symlink_itself(tmp_path: Path) -> None:
    folder(tmp_path, {"real/rng.yaml": RNG})
    (tmp_path / "link").symlink_to("real")
    assert len(load_policies([tmp_path / "link"]).policies) == 1


def test_only_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.yaml"))
        text = message(tmp_path)
    assert "pipe.yaml:1:1: this is no regular file" in text
    assert "socket.yaml:1:1: this is no regular file" in text
    assert "no regular file" in message(Path("/dev/null"))


def test_a_pipe_may_be_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(RNG,))
    writer.start()
    assert len(load_policies([tmp_path / "pipe"]).policies) == 1
    writer.join()


def test_a_file_that_is_exchanged_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, {"rng.yaml": RNG})
    real = os.open
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(
        os, "open", lambda path, flags, *rest: real(str(path).replace("rng.yaml", "pipe"), flags, *rest)
    )
    assert "no regular file" in message(tmp_path)


def test_60_mb_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as stream:
        stream.truncate(60 * 2**20)
    assert "big.yaml:1:1: the file is larger than 1 MiB" in message(tmp_path)
    assert "larger than 1 MiB" in message(tmp_path / "big.yaml")


@pytest.mark.parametrize("data", [b"\x7fELF\x00\x01", b"\xff\xfeapiVersion", RNG.encode("utf-16"), b"\x89PNG\r\n"])
def test_binary_files_are_errors_even_in_a_folder(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "binary.yaml").write_bytes(data)
    assert "UTF-8" in message(tmp_path)


def test_a_name_that_is_no_utf_8_can_be_shown(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml")).write_text(RNG)
    assert load_policies([tmp_path]).policies[0].position.file == "\\xff.yaml"


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 3)
    folder(tmp_path, {f"{number}.yaml": "" for number in range(3)})
    assert len(found(tmp_path)) == 3
    folder(tmp_path, {"4.yaml": ""})
    assert "more than 3 files" in message(tmp_path)
