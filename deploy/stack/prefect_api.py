"""The few questions that a trial asks Prefect's API, signed in."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from deploy.stack.place import Place
from deploy.stack.topology import PREFECT_USER, basic


@dataclass(frozen=True)
class PrefectApi:
    """The API of a stack's server."""

    place: Place

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Flow runs of a deployment, `FLOW/NAME`."""
        wanted = {"deployments": {"id": {"any_": [self._id(deployment)]}}, "limit": 200}
        return list(self._ask("flow_runs/filter", wanted))

    def run(self, name: str) -> dict[str, Any]:
        """One flow run."""
        return dict(self._ask(f"flow_runs/{name}"))

    def _id(self, deployment: str) -> str:
        return str(self._ask(f"deployments/name/{deployment}")["id"])

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.place.url('prefect')}/api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": basic(f"{PREFECT_USER}:{self.place.password('prefect')}"),
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
