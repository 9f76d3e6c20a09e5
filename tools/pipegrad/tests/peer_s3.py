"""The main job's data and models in a DVC remote on S3, which moto's server stands for."""

import os
import shutil
import sys
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from peers import IDENTITY, copy_tracked, onnx_runtime, shell, with_tools

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def s3(monkeypatch):
    """The address of a server with the bucket `pipegrad`, and a client of it."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket="pipegrad")
    yield address, client
    server.stop()


def keys(client):
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="pipegrad")
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}


def test_what_was_pushed_is_all_that_a_run_needs(s3, tmp_path):
    address, client = s3
    copy_tracked(tmp_path)
    path = with_tools(Path(sys.executable).parent)
    env = os.environ | IDENTITY | {"PATH": path, "ORT_DYLIB_PATH": str(onnx_runtime()), "DVC_NO_ANALYTICS": "1"}

    def job(command, status=0):
        return shell(command, tmp_path, env, status)

    job("git init -q && git add -A && git commit -qm start")
    job("dvc remote add -q --local -d s3 s3://pipegrad/dvc")
    job(f"dvc remote modify -q --local s3 endpointurl {address}")
    job("dvc repro")
    outputs = ["data/probs.npy", "data/entropy.npy", "data/predictions.npy", "runs/entropy/model.safetensors", "models/entropy.onnx"]
    made = {name: (tmp_path / name).read_bytes() for name in outputs}
    # Without its objects the remote gives nothing back: what is pulled below is not from elsewhere.
    assert keys(client) == set()
    assert "pushed" in job("dvc push")
    assert len(keys(client)) >= len(outputs)

    shutil.rmtree(tmp_path / ".dvc/cache")
    for name in outputs:
        (tmp_path / name).unlink()
    job("dvc pull")
    assert {name: (tmp_path / name).read_bytes() for name in outputs} == made
    out = job("dvc repro")
    assert "Running stage" not in out and "up to date" in out

    # An object that is lost is an error, and not an empty file.
    shutil.rmtree(tmp_path / ".dvc/cache")
    (tmp_path / "models/entropy.onnx").unlink()
    for key in keys(client):
        client.delete_object(Bucket="pipegrad", Key=key)
    job("dvc pull models/entropy.onnx", status=1)
