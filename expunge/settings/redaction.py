"""Text that may hold a URL with a password, made fit to be shown."""

from __future__ import annotations

import re

# As far as the last `@` of the word: a password may hold `/` or `@` that nobody escaped.
_LOGIN = re.compile(r"//\S+@")
_PARAMETER = re.compile(r"(?i)([?&;](?:\w*password|\w*token|\w*secret|\w*key)=)[^&;\s\"']+")


def redacted(text: str) -> str:
    """The text without the login, and without secret parameters, of any URL in it."""
    return _PARAMETER.sub(r"\1***", _LOGIN.sub("//***@", text))
