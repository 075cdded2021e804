"""The files for containers: whatever they name exists, fits its schema, and runs with no privilege.

No container engine is needed: schemas of the Compose specification, of Kubernetes and of Prefect's
Kubernetes worker, and the project's own commands, settings and files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy import passwords

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
POOLS = ("cpu", "gpu")
KUBERNETES_VERSION = "1.34"
# Read by libpq, botocore and the images of others; no list of theirs can be asked for.
FOREIGN = {
    *("PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT", "HOME", "SECRETS"),
    *("AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"),
    *("POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS", "GF_SECURITY_ADMIN_PASSWORD__FILE"),
    *("GF_ANALYTICS_REPORTING_ENABLED", "GF_ANALYTICS_CHECK_FOR_UPDATES"),
}


@cache
def resources() -> tuple[dict[str, Any], ...]:
    files = [*(KUBERNETES / "base").glob("*.yaml"), *KUBERNETES.glob("overlays/*/*.yaml")]
    found = (each for file in files for each in yaml.safe_load_all(file.read_text()))
    return tuple(each for each in found if each["kind"] != "Kustomization")


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for each in resources():
        if each["kind"] in ("Deployment", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]
    for pool in POOLS:
        yield (
            f"run-{pool}",
            template(pool)["job_configuration"]["job_manifest"]["spec"]["template"]["spec"],
        )


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, pod in pods():
        for each in (*pod.get("initContainers", ()), *pod["containers"]):
            yield f"{name}/{each['name']}", each


def template(pool: str) -> dict[str, Any]:
    return dict(json.loads((KUBERNETES / f"job-template-{pool}.json").read_text()))


def settings_env() -> dict[str, str]:
    lines = (KUBERNETES / "base" / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def ours() -> dict[str, dict[str, Any]]:
    services = COMPOSE["services"]
    return {name: each for name, each in services.items() if each["image"].startswith("expunge:")}


def test_compose_fits_the_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    jsonschema.validate(COMPOSE, schema)


def test_every_image_has_a_version() -> None:
    images = {service["image"] for service in COMPOSE["services"].values()}
    images |= {template(pool)["variables"]["properties"]["image"]["default"] for pool in POOLS}
    assert {image for image in images if not re.search(r":v?\d+\.\d+", image)} == set()
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-", dockerfile, re.MULTILINE)
    assert "latest" not in dockerfile


def test_compose_names_files_secrets_and_volumes_that_exist(tmp_path: Path) -> None:
    passwords.for_containers(tmp_path)
    made = {file.name for file in tmp_path.iterdir()}
    assert {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()} <= made
    assert all((DEPLOY / config["file"]).is_file() for config in COMPOSE["configs"].values())
    for service in COMPOSE["services"].values():
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert {config["source"] for config in service.get("configs", ())} <= set(
            COMPOSE["configs"]
        )
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_file()
        given = set(service.get("secrets", ()))
        named = re.findall(r"/run/secrets/([\w.-]+)", json.dumps(service))
        assert set(named) <= given, "a secret is read that is not mounted"


def test_secrets_of_containers_are_private_by_their_folder(tmp_path: Path) -> None:
    passwords.for_containers(tmp_path)
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    passwords.for_containers(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text()
    assert "secrets" not in (DEPLOY / "Dockerfile").read_text()


def test_what_the_image_copies_exists_and_reaches_the_builder() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignore if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+)$", text, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(
                pattern == source or Path(source).match(pattern) or pattern.startswith(f"{source}/")
                for pattern in allowed
            ), f"{source} is ignored"
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)


def test_the_entrypoint_reads_secrets_from_files_and_says_which_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret with $dollar\n")
    run = [DEPLOY / "entrypoint.sh", "sh", "-c", 'printf %s "$PGPASSWORD${PGPASSWORD_FILE:-}"']
    environment = {**os.environ, "PGPASSWORD_FILE": str(tmp_path / "secret")}
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "s3cret with $dollar"
    environment["PGPASSWORD_FILE"] = str(tmp_path / "absent")
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "PGPASSWORD_FILE" in done.stderr


def _environments() -> Iterator[tuple[str, set[str]]]:
    for name, service in COMPOSE["services"].items():
        yield name, set(service.get("environment", ()))
    for name, container in containers():
        given = container.get("env", ())
        yield name, {each["name"] for each in given} if isinstance(given, list) else set()
    yield "settings.env", set(settings_env())


def test_every_variable_is_one_that_its_program_reads() -> None:
    known = FOREIGN | _known_to_expunge() | _known_to_mlflow() | _known_to_prefect()
    script = (DEPLOY / "entrypoint.sh").read_text()
    by_file = re.search(r"for name in ([\w\s\\]+); do", script)
    assert by_file
    listed = set(by_file[1].replace("\\", " ").split())
    assert listed <= known
    known |= {f"{name}_FILE" for name in listed}
    assert {
        f"{where}: {name}" for where, names in _environments() for name in names - known
    } == set()


def _known_to_expunge() -> set[str]:
    from expunge.settings.names import variables
    from expunge.workspace import QUIET

    found = variables()
    return {*QUIET, *found, *(f"{name}_FILE" for name, secret in found.items() if secret)}


def _known_to_mlflow() -> set[str]:
    from mlflow import environment_variables
    from mlflow.cli import cli

    options = cli.commands["server"].params
    by_option = {str(option.envvar) for option in options if option.envvar}
    return by_option | {name for name in vars(environment_variables) if name.startswith("MLFLOW_")}


def _known_to_prefect() -> set[str]:
    from prefect.settings import Settings
    from prefect_kubernetes.settings import KubernetesSettings

    return {"PREFECT_HOME", *_names(Settings), *_names(KubernetesSettings)}


def _names(model: Any) -> Iterator[str]:
    """Environment variables of a model of settings and of the models in it."""
    prefix = model.model_config.get("env_prefix", "")
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from _names(field.annotation)
        else:
            yield f"{prefix}{name}".upper()


def _commands() -> Iterator[tuple[str, ...]]:
    """Every command of ours: the words of a command line, shell scripts taken apart."""
    lines = [service["command"] for service in ours().values()]
    lines += [each["args"] for _, each in containers() if isinstance(each["args"], list)]
    for words in lines:
        if words[0] != "sh":
            yield tuple(words)
            continue
        for part in re.split(r"&&|;|\bdo\b", words[-1]):
            if part.strip():
                yield tuple(part.split())


@pytest.mark.slow
def test_every_command_and_option_exists() -> None:
    for words in set(_commands()):
        program, options = words[0], {w.split("=")[0] for w in words if w.startswith("--")}
        if program == "expunge":
            assert options <= _options_of_expunge(words), words
        elif program == "mlflow":
            assert options <= _options_of_mlflow(), words
        elif program == "prefect":
            verbs = tuple(w for w in words[1:4] if w in _PREFECT_VERBS)
            shown = _prefect_help(verbs)
            assert {o for o in options if o not in shown} <= {"--no-prompt"}, words
        elif program.startswith("/opt/deploy/") or program == "python":
            script = next(w for w in words if w.startswith("/opt/deploy/"))
            assert (DEPLOY / Path(script).name).is_file()
        else:
            assert program in ("cd", "for", "done", "psql"), words


_PREFECT_VERBS = ("server", "start", "worker", "work-pool", "create", "deploy")


def _options_of_expunge(words: tuple[str, ...]) -> set[str]:
    import typer

    from expunge.cli.app import app

    commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    return {option for param in commands[words[1]].params for option in param.opts}


def _options_of_mlflow() -> set[str]:
    from mlflow.cli import cli

    return {option for param in cli.commands["server"].params for option in param.opts}


@cache
def _prefect_help(verbs: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "prefect", *verbs, "--help"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout


def test_kubernetes_resources_fit_its_schemas() -> None:
    assert len(resources()) > 15
    for each in resources():
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl: kustomize is not tried")
@pytest.mark.parametrize("folder", ["base", "overlays/gpu"])
def test_kustomize_builds_what_fits_the_schemas(folder: str) -> None:
    command = ["kubectl", "kustomize", str(KUBERNETES / folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    built = list(yaml.safe_load_all(done.stdout))
    for each in built:
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)
    assert {each["metadata"].get("namespace", "expunge") for each in built} == {"expunge"}


def test_nothing_runs_as_root_or_without_limits_and_secrets_are_references() -> None:
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for name, each in containers():
        hard = each["securityContext"]
        assert not hard["allowPrivilegeEscalation"], name
        assert hard["readOnlyRootFilesystem"], name
        assert hard["capabilities"] == {"drop": ["ALL"]}, name
        assert set(each["resources"]) == {"requests", "limits"}, name
        if isinstance(each.get("env"), list):
            plain = {v["name"] for v in each["env"] if "value" in v}
            assert not {n for n in plain if n.endswith(("PASSWORD", "AUTH_STRING", "_KEY"))} - {
                "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_KEY"  # a name
            }, name
    for name, service in ours().items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name


def test_kubernetes_names_secrets_claims_and_maps_that_exist(tmp_path: Path) -> None:
    passwords.for_containers(tmp_path)
    made = {file.name for file in tmp_path.iterdir()}
    claims = {e["metadata"]["name"] for e in resources() if e["kind"] == "PersistentVolumeClaim"}
    accounts = {e["metadata"]["name"] for e in resources() if e["kind"] == "ServiceAccount"}
    base = yaml.safe_load((KUBERNETES / "base" / "kustomization.yaml").read_text())
    maps = {each["name"] for each in base["configMapGenerator"]}
    text = json.dumps([*resources(), *(template(pool) for pool in POOLS)])
    assert (
        set(re.findall(r'"secretKeyRef": {"name": "expunge-secrets", "key": "([^"]+)"', text))
        <= made
    )
    assert set(re.findall(r'"items": \[{"key": "([^"]+)"', text)) <= made
    assert set(re.findall(r'"claimName": "([^"]+)"', text)) <= claims
    assert set(re.findall(r'"configMap(?:Ref)?": {"name": "([^"]+)"', text)) <= maps
    assert set(re.findall(r'"serviceAccountName": "([^"{]+)"', text)) <= accounts
    assert {volume.rsplit("/", 1)[-1] for volume in base["resources"]} <= {
        file.name for file in (KUBERNETES / "base").iterdir()
    }


@pytest.mark.parametrize("pool", POOLS)
def test_prefect_makes_a_valid_job_of_the_template(pool: str) -> None:
    from prefect.utilities.templating import apply_values
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    variables = template(pool)["variables"]["properties"]
    defaults = {name: each["default"] for name, each in variables.items() if "default" in each}
    filled = apply_values(template(pool)["job_configuration"], {**defaults, "name": "run"})
    made = KubernetesWorkerJobConfiguration.model_validate(filled)
    manifest = made.job_manifest
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container.update(args=["prefect", "flow-run", "execute"], env=[])  # what the worker fills in
    manifest["metadata"].pop("labels", None)
    kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    wanted = {"nvidia.com/gpu": 1} if pool == "gpu" else {}
    limits = container["resources"]["limits"]
    assert {name: limits[name] for name in limits if name.startswith("nvidia")} == wanted
    assert made.namespace == "expunge"


def test_the_image_of_a_gpu_run_is_the_cuda_target() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    images = {pool: template(pool)["variables"]["properties"]["image"]["default"] for pool in POOLS}
    assert images["cpu"].rsplit("-", 1)[-1] in stages
    assert images["gpu"].rsplit("-", 1)[-1] == "cuda"
    assert "cuda" in stages
    gpu = COMPOSE["services"]["worker-gpu"]
    assert gpu["build"]["target"] == "cuda"
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
