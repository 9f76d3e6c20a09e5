"""What scripts/gpu-check.sh packs for a machine with a GPU, tried out on the CPU: every part but those of a GPU's alone."""

import json
import os
import subprocess

import pytest
from peers import BIN, ROOT

PYTHON = ROOT / ".tools/bench/bin/python"


@pytest.mark.skipif(not PYTHON.exists(), reason="PyTorch is in .tools/bench, which benchmarks install")
@pytest.mark.skipif(not (BIN / "examples/gpu_check").exists(), reason="make gpu-check builds the example")
def test_the_packed_folder_measures_each_part(tmp_path):
    target = {"CARGO_TARGET_DIR": str(BIN.parent)}
    subprocess.run([ROOT / "scripts/gpu-check.sh", "pack"], check=True, env=os.environ | target, capture_output=True)
    archive = ROOT / "dist/gpu-check.tar.gz"
    # What can be carried to a machine without a network.
    assert archive.stat().st_size < 64 << 20
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    path = os.pathsep.join([str(PYTHON.parent), os.environ["PATH"]])
    command = [tmp_path / "gpu-check/gpu-check.sh", "--device", "cpu", "--tiny"]
    done = subprocess.run(command, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results == json.loads((tmp_path / "gpu-check/gpu-check.json").read_text())
    assert [name for name, part in results.items() if "error" in json.dumps(part) and name != "errors"] == []
    assert all(one["ok"] for one in results["errors"].values())
    assert results["agreement"]["same_bytes"] and results["agreement"]["same_bytes_in_parts"]
    assert results["train"]["speednet f32"]["images_per_second"]
