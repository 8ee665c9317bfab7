"""Finds the files that ``-f`` names and reads them: regular files inside the named folder, none of them too large."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

from gatekeep.sources.problems import DocumentErrors, Problem, file_error, missing_file
from gatekeep.sources.tree import too_large

SUFFIXES = (".yaml", ".yml", ".json")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MOST_FILES = 10_000
_REGULAR = "only regular files are read"


class SourceFile(NamedTuple):
    """One file to read.

    ``path`` as the user named it or its folder, for errors; ``relative`` to the named folder, for plans; ``real`` is
    where to open it; ``folder`` is the one it lies in; ``named`` is False for a file found in a folder.
    """

    path: str
    relative: str
    real: str
    folder: str
    named: bool


def find_files(path: Path) -> tuple[list[SourceFile], list[Problem]]:
    """The file ``path``, or the YAML and JSON files below the folder ``path``, sorted by relative name.

    Hidden files and folders are skipped, and so is a second name of a file. Raises :class:`DocumentErrors` when there
    is nothing at ``path``; the problems are files that may not be read.
    """
    if not path.exists():
        hint = "name the policies with -f: a file, a folder, or - for standard input"
        raise missing_file(printable(path), "no such file or folder", hint)
    if not path.is_dir():
        named = SourceFile(printable(path), printable(Path(path.name)), str(path), str(path.parent), named=True)
        return [named], []
    root = os.path.realpath(path)
    files: list[SourceFile] = []
    problems: list[Problem] = []
    taken: set[str] = set()
    for found in _walk(path, problems):
        real = os.path.realpath(found)
        shown = printable(found)
        if os.path.commonpath([root, real]) != root:
            problems.extend(_outside(shown))
        elif not os.path.isdir(real) and real not in taken:
            taken.add(real)
            relative = printable(Path(os.path.relpath(found, path)))
            files.append(SourceFile(shown, relative, real, str(found.parent), named=False))
            if len(files) > MOST_FILES:
                raise file_error(printable(path), f"more than {MOST_FILES} files", "name a smaller folder")
    return sorted(files, key=lambda file: file.relative), problems


def read_file(file: SourceFile, limit: int) -> bytes:
    """The bytes of ``file``, of which there may be ``limit``. Raises :class:`DocumentErrors`.

    A file that was named may be a pipe, as ``-f <(kustomize build)`` gives it; nothing else but a regular file is read.
    """
    try:
        with open_regular(file.real, file.path, pipe=file.named, follow=file.named) as stream:
            if os.fstat(stream.fileno()).st_size > limit:
                raise too_large(file.path, limit)
            data = stream.read(limit + 1)
    except OSError as error:
        raise unreadable(file.path, error) from error
    if len(data) > limit:
        raise too_large(file.path, limit)
    return data


def open_regular(real: str, shown: str, *, pipe: bool, follow: bool) -> BufferedReader:
    """Opens a regular file (or a pipe) for reading, never a device. Raises OSError or :class:`DocumentErrors`."""
    mode = os.stat(real, follow_symlinks=follow).st_mode
    if not stat.S_ISREG(mode) and not (pipe and stat.S_ISFIFO(mode)):
        raise file_error(shown, "this is no regular file", _REGULAR)
    descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW | os.O_NONBLOCK))
    stream = os.fdopen(descriptor, "rb")
    if stat.S_IFMT(os.fstat(descriptor).st_mode) != stat.S_IFMT(mode):  # exchanged since it was looked at
        stream.close()
        raise file_error(shown, "this is no regular file", _REGULAR)
    return stream


def unreadable(shown: str, error: OSError) -> DocumentErrors:
    """The error for a file that the system does not let us read."""
    return missing_file(shown, f"cannot be read: {error.strerror}", "check the path and its permissions")


def has_kustomization(folder: str) -> bool:
    """True when kustomize would find its file in ``folder``."""
    return any(os.path.lexists(os.path.join(folder, name)) for name in KUSTOMIZATIONS)


def _walk(root: Path, problems: list[Problem]) -> list[Path]:
    """Every visible file with one of our suffixes, and every symlink to a folder, below ``root``."""

    def refuse(error: OSError) -> None:
        problems.extend(unreadable(printable(Path(str(error.filename))), error).problems)

    found: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found.extend(Path(folder, name) for name in folders if os.path.islink(os.path.join(folder, name)))
        found.extend(Path(folder, name) for name in sorted(names) if name.endswith(SUFFIXES) and name[0] != ".")
        if len(found) > MOST_FILES + 1:
            break
    return found


def _outside(shown: str) -> tuple[Problem, ...]:
    message = "this symlink leads out of the folder, or nowhere"
    return file_error(shown, message, "put a copy of the file into the folder").problems


def printable(path: Path) -> str:
    """The path with forward slashes; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
