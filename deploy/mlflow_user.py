"""Make MLflow's user for expunge: no administrator, it may do as it likes with what it made.

    mlflow_user.py URL ADMIN ADMIN_PASSWORD_FILE USER USER_PASSWORD_FILE

Nothing changes if the user is there. Needs nothing but Python, so that any image can run it.
"""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def make_user(url: str, admin: str, admin_password: str, user: str, password: str) -> None:
    """Create `user` at the server at `url`.

    Raises:
        OSError: the server does not answer, or refuses; its answer is in the message.
    """
    login = base64.b64encode(f"{admin}:{admin_password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310 - an operator gives the address
        f"{url.rstrip('/')}/api/2.0/mlflow/users/create",
        data=json.dumps({"username": user, "password": password}).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Basic {login}"},
    )
    try:
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error.read().decode(errors="replace")
        if "RESOURCE_ALREADY_EXISTS" not in answer:
            raise OSError(f"MLflow refused to make user {user}: {answer[:300]}") from None


def main(url: str, admin: str, admin_file: str, user: str, user_file: str) -> None:
    """Read the passwords, and make the user."""
    admin_password, password = (Path(file).read_text().strip() for file in (admin_file, user_file))
    make_user(url, admin, admin_password, user, password)


if __name__ == "__main__":
    main(*sys.argv[1:])
