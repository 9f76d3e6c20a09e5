"""Fetched data under the real DVC: the repository's own stage, with a stand-in for the archive."""

import hashlib
import io
import os
import shutil
import sys
import tarfile
from pathlib import Path

import peers
import pytest
import yaml
from peers import ROOT, with_tools

PIPELINE = "pipelines/cifar10"


@pytest.fixture
def project(tmp_path):
    """A DVC project, and the pipeline's own within it, with a remote each, and configs that name a small archive; a
    shell in the pipeline's folder, or in another one."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "configs", folder / "configs")
    for name in ["dvc.yaml", ".gitignore", "data/.gitignore"]:
        (folder / PIPELINE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / PIPELINE / name, folder / PIPELINE / name)
    env = os.environ | {"PATH": with_tools(Path(sys.executable).parent), "DVC_NO_ANALYTICS": "1"}

    def shell(command, within=PIPELINE):
        return peers.shell(command, folder / within, env)

    shell("git init -q && dvc init -q && dvc remote add -q -d store ../store", ".")
    shell("dvc init -q --subdir && dvc remote add -q -d store ../../../store")
    shell.folder = folder
    name_archive(folder, tmp_path / "cifar.tar.gz", level=1)
    return shell


def name_archive(folder, path, level):
    """Writes an archive whose pixels are all of one level, and the config that names it."""
    row = bytes([3]) + bytes([level]) * 3072
    with tarfile.open(path, "w:gz") as tar:
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin", "batches.meta.txt"]
        for name in names:
            data = row * 2 if name.endswith("bin") else b"".join(b"class%d\n" % i for i in range(10))
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    config = folder / "configs" / "dataset" / "cifar10.yaml"
    settings = yaml.safe_load(config.read_text())
    data = path.read_bytes()
    settings["files"]["archive"] = {"urls": [str(path)], "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    config.write_text(yaml.safe_dump(settings))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_stage_is_tracked_pushed_and_pulled(project, tmp_path):
    data = project.folder / PIPELINE / "data/cifar10"
    project("dvc repro fetch-data")
    first = contents(data)
    assert sorted(first) == ["dataset.json", "test.npy", "train.npy"]
    assert "up to date" in project("dvc status --with-deps fetch-data")
    assert "didn't change" in project("dvc repro fetch-data")
    assert "data/cifar10" not in project("git status --porcelain --untracked-files=all"), "no data in git"

    project("dvc push -q fetch-data && rm -r data/cifar10 .dvc/cache && dvc pull -q fetch-data")
    assert contents(data) == first, "without the archive"

    name_archive(project.folder, tmp_path / "cifar.tar.gz", level=2)
    assert "changed deps" in project("dvc status --with-deps fetch-data")
    project("dvc repro -q fetch-data")
    assert contents(data)["train.npy"] != first["train.npy"]


def test_a_result_is_added_and_an_archive_imported(project, tmp_path):
    project("fetch-data dataset=cifar10 -o data/mine && dvc add -q data/mine", ".")
    assert "up to date" in project("dvc status data/mine.dvc", ".")
    before = contents(project.folder / "data/mine")
    project("dvc push -q data/mine.dvc && rm -r data/mine .dvc/cache && dvc pull -q data/mine.dvc", ".")
    assert contents(project.folder / "data/mine") == before

    project(f"dvc import-url -q {tmp_path}/cifar.tar.gz data/archive.tar.gz", ".")
    project("fetch-data dataset=cifar10 'dataset.files.archive.urls=[data/archive.tar.gz]' -o data/imported", ".")
    assert contents(project.folder / "data/imported") == before
