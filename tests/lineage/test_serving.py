"""Promotion as others see it: a client that loads the champion, and a webhook's receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet
from mlflow.exceptions import MlflowException

from benchmarks.serving import MODEL, Outputs, mlflow_server, registered, serve
from expunge.lineage import Registry
from tests.receiver import receiver

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Outputs]]:
    """A server with two versions whose webhooks may reach loopback; what each version answers."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
        patch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
        patch.setenv("MLFLOW_WEBHOOK_CACHE_TTL", "0")  # else a new one is overlooked for a minute
        patch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", Fernet.generate_key().decode())
        patch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        with mlflow_server(folder) as uri:
            yield uri, registered(uri, folder)


def test_a_client_always_finds_the_old_or_the_new_champion_while_it_is_promoted(
    served: tuple[str, Outputs],
) -> None:
    uri, outputs = served
    seen = serve(uri, outputs, loads=30)
    assert not seen.failed
    assert sum(seen.loads.values()) == 30
    assert seen.promotions >= 3
    Registry(uri, None).set_alias(MODEL, "champion", next(iter(outputs)))


def test_a_promotion_fires_the_webhook_of_the_registry(
    served: tuple[str, Outputs],
) -> None:
    uri, outputs = served
    first, second = outputs
    registry = Registry(uri, None)
    with receiver() as posted:
        try:
            registry.client.create_webhook("serving", posted.url, ["model_version_alias.created"])
        except MlflowException as error:
            pytest.skip(f"this MLflow server has no webhooks: {error}")
        registry.promote(MODEL, second, first)
        assert posted.arrived.wait(60)
    event = json.loads(posted.bodies[0])
    assert (event["entity"], event["action"]) == ("model_version_alias", "created")
    assert event["data"] == {"name": MODEL, "alias": "champion", "version": second}
