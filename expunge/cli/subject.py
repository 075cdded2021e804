"""Where a subject's id comes from: an argument, a file, or standard input.

An argument shows in the shell's history and in the list of processes; a file or `-` does not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

_LONGEST = 4096  # bytes; more than any id, less than a file named by mistake

SubjectArgument = Annotated[
    str | None,
    typer.Argument(metavar="SUBJECT_ID", help="Whom to erase.", show_default=False),
]
SubjectFileOption = Annotated[
    Path | None,
    typer.Option(
        "--subject-file",
        metavar="FILE",
        allow_dash=True,
        help="Read the id from a file, or from standard input: -",
    ),
]


def subject_id(argument: str | None, file: Path | None) -> str:
    """The one id that was given; a usage error, without content, where that is not so."""
    if (argument is None) == (file is None):
        raise typer.BadParameter("give the id as an argument, or --subject-file FILE (- for stdin)")
    if file is None:
        return argument or ""
    return _only_id(file, "--subject-file")


def subject_id_on_stdin() -> str:
    """The one id on standard input; a usage error, without content, where that is not so."""
    return _only_id(Path("-"), "standard input")


def _only_id(file: Path, hint: str) -> str:
    lines = _text(file, hint).splitlines()
    if len(lines) == 1 and lines[0].strip():
        return lines[0].strip()
    found = f"{len(lines)} lines" if len(lines) > 1 else "none"
    raise typer.BadParameter(f"expected one line with one id, found {found}", param_hint=hint)


def _text(file: Path, hint: str) -> str:
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with file.open("rb") as stream:
                raw = stream.read(_LONGEST + 1)
        if len(raw) > _LONGEST:
            raise typer.BadParameter("longer than any id", param_hint=hint)
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise typer.BadParameter(f"cannot be read: {error.strerror}", param_hint=hint) from None
    except UnicodeDecodeError:
        raise typer.BadParameter("is not UTF-8", param_hint=hint) from None
