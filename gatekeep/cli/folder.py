"""A folder of files that is replaced as a whole, and only if gatekeep wrote it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping

from gatekeep.cli.failures import usage
from gatekeep.model.errors import GatekeepError
from gatekeep.render.patch_files import MARK, README

_OURS = re.compile(r"\d{3,}-[a-z0-9.-]*\.json")


def write_folder(path: str, files: Mapping[str, str]) -> None:
    """Writes beside the folder and renames: a reader sees the old files or the new ones, never some of each.

    Raises :class:`UsageError` for a folder with anything in it that gatekeep did not write.
    """
    target = os.path.abspath(path)
    _refuse_foreign(path, target)
    try:
        temporary = tempfile.mkdtemp(prefix=".gatekeep-", dir=os.path.dirname(target))
        try:
            new, old = os.path.join(temporary, "new"), os.path.join(temporary, "old")
            os.mkdir(new)
            for name, text in files.items():
                with open(os.path.join(new, name), "x", encoding="utf-8") as stream:
                    stream.write(text)
            if os.path.isdir(target):
                os.rename(target, old)
            os.rename(new, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise GatekeepError(f"cannot write: {error.strerror}", where=path, hint="choose another folder") from error


def _refuse_foreign(path: str, target: str) -> None:
    if os.path.islink(target) or (os.path.exists(target) and not os.path.isdir(target)):
        raise usage(f"--out {path} is no folder, and -o patches writes one", "name a folder")
    if not os.path.isdir(target):
        return
    found = os.listdir(target)
    foreign = sorted(name for name in found if name != README and not _OURS.fullmatch(name))
    if found and (foreign or not _is_marked(target)):
        what = foreign[0] if foreign else f"no {README} of gatekeep"
        raise usage(f"--out {path} holds something else ({what}), and would be replaced", "name a new or empty folder")


def _is_marked(target: str) -> bool:
    try:
        with open(os.path.join(target, README), encoding="utf-8") as stream:
            return stream.read(len(MARK)) == MARK
    except (OSError, UnicodeDecodeError):
        return False
