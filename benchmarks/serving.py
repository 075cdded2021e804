"""A serving client while versions are promoted: does `models:/NAME@champion` ever find nothing?

    .venv/bin/python -m benchmarks.serving [--loads 1000] [--clients 4] [--embedded]

A real MLflow server on loopback (with `--embedded`, MLflow's SQLite store and a folder, as where
no server is configured), two versions of a small network, and two parties. One promotes them in
turn as the line does, without a pause. The other, in processes of its own, loads the champion over
and over as a service would, with MLflow's own `load_model`, and asks it for an answer: every load
has to give the answer of one of the two versions. The figures go to standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import save_file

from expunge.lineage import Candidate, DatasetInput, FactoryReference, Registry
from expunge.workspace import quiet_environment

MODEL = "served"
Outputs = dict[str, list[float]]


@dataclass
class Served:
    """What the client saw: loads by version, errors by kind, and how often it was promoted."""

    loads: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    promotions: int = 0
    seconds: float = 0.0


def serve(uri: str, outputs: Outputs, loads: int, clients: int = 1) -> Served:
    """Load the champion `loads` times while it is promoted to and fro; `outputs` by version.

    `outputs` are what the versions answer to a row of ones, float32 [1, classes].
    """
    registry, seen, over = Registry(uri, None), Served(), threading.Event()
    started = time.monotonic()
    with (
        ThreadPoolExecutor(1) as beside,
        ProcessPoolExecutor(clients, get_context("spawn")) as services,
    ):
        promoter = beside.submit(_promote, registry, list(outputs), over)
        try:
            for told in services.map(partial(_load, uri, outputs), range(loads)):
                counted = seen.loads if told in outputs else seen.failed
                counted[told] = counted.get(told, 0) + 1
        finally:
            over.set()
        seen.promotions = promoter.result()
    seen.seconds = round(time.monotonic() - started, 1)
    return seen


def _promote(registry: Registry, versions: list[str], over: threading.Event) -> int:
    done = 0
    while not over.is_set():
        before, after = versions[done % 2], versions[(done + 1) % 2]
        registry.promote(MODEL, after, before)
        done += 1
    return done


def _load(uri: str, outputs: Outputs, _: int) -> str:
    """The version that one load gave; the kind of its error where it gave none."""
    import mlflow.pytorch

    mlflow.set_tracking_uri(uri)
    try:
        module = mlflow.pytorch.load_model(f"models:/{MODEL}@champion")
        answer = module(torch.ones(1, 8))[0].tolist()
    except Exception as error:  # whatever a service would have met
        return f"{type(error).__name__}: {error}"[:200]
    same = (version for version, output in outputs.items() if answer == output)
    return next(same, "an answer of neither version")


def registered(uri: str, folder: Path, artifacts: str | None = None) -> Outputs:
    """Register two versions, the first of them champion; what each answers to a row of ones."""
    registry, outputs = Registry(uri, artifacts, folder), {}
    for number in (1, 2):
        torch.manual_seed(number)
        module = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
        )
        weights = folder / f"{number}.safetensors"
        save_file({name: value.clone() for name, value in module.state_dict().items()}, weights)
        made = registry.register(
            Candidate(
                effect_key=f"serve:{number}",
                model=MODEL,
                kind="trained",
                module=module,
                weights=weights,
                factory=FactoryReference("none.py:none", {}, "0" * 64),
                input_shape=(8,),
                datasets=(DatasetInput("none", "0" * 32 + ".dir", "0" * 40, 1, {"training": 1}),),
            )
        )
        outputs[made.version] = module.eval()(torch.ones(1, 8))[0].tolist()
    registry.promote(MODEL, next(iter(outputs)), None)
    return outputs


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A server on a free port of loopback, its store in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", uri.rpartition(":")[2], "--artifacts-destination", str(folder / "store")]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        while not _answers(uri):
            if server.poll() is not None:
                raise SystemExit((folder / "server.log").read_text()[-2000:])
            time.sleep(0.2)
        yield uri
    finally:
        server.terminate()
        server.wait(30)


def _answers(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5):
            return True
    except OSError:
        return False


def main() -> None:
    """Start the server, serve, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--embedded", action="store_true")
    given = parser.parse_args()
    quiet_environment()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["PYTHONWARNINGS"] = "ignore"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.embedded:
            uri, artifacts = f"sqlite:///{folder / 'mlflow.db'}", (folder / "store").as_uri()
            outputs = registered(uri, folder, artifacts)
            found = serve(uri, outputs, given.loads, given.clients)
        else:
            with mlflow_server(folder) as uri:
                found = serve(uri, registered(uri, folder), given.loads, given.clients)
    print(json.dumps(asdict(found)))
    sys.exit(1 if found.failed else 0)


if __name__ == "__main__":
    main()
