"""The main job under Snakemake, in a copy of this folder with few rows."""

import os
import re
import shutil
import sys
from pathlib import Path

import peers
import pytest
import yaml
from peers import onnx_runtime, with_tools

HERE = Path(__file__).parent
SMALL = {"data": ["data.rows=5000"], "train": ["trainer.max_epochs=2"]}


class Job:
    def __init__(self, folder):
        self.folder = folder
        for name in ["Snakefile", "config.yaml"]:
            shutil.copy(HERE / name, folder)
        self.override(SMALL)

    def shell(self, command, status=0):
        env = os.environ | {
            "PATH": with_tools(Path(sys.executable).parent),
            "ORT_DYLIB_PATH": str(onnx_runtime()),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        return peers.shell(command, self.folder, env, status)

    def run(self, arguments="", status=0):
        return self.shell(f"snakemake --cores 2 {arguments} 2>&1", status)

    def override(self, stages):
        config = yaml.safe_load((self.folder / "config.yaml").read_text())
        config["overrides"] |= stages
        config["seeds"] = [0, 1]
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def files(self):
        return {
            path.relative_to(self.folder): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and not {".snakemake", "cache"} & set(path.parts)
        }


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The job, after a run; tests leave it as they found it."""
    job = Job(tmp_path_factory.mktemp("job"))
    job.run()
    return job


def rules(out):
    return set(re.findall(r"^(?:local)?rule (\w+):$", out, re.MULTILINE))


def test_the_files_are_those_of_the_tools_alone(ran):
    ran.shell("gen-data rows=5000 --to npy | entropy -o whole.npy && cmp whole.npy data/entropy.npy && rm whole.npy")
    ran.shell("train --quiet data/entropy.npy -o ../whole trainer.max_epochs=2 trainer.seed=1 > /dev/null")
    ran.shell("cmp ../whole/model.safetensors runs/1/model.safetensors")
    ran.shell("pipegrad export ../whole && infer -m ../whole/model.onnx ../whole/test.npy | score | cmp - metrics/1.json")
    assert len((ran.folder / "compare.csv").read_text().splitlines()) == 2, "a header, and the mean over seeds"
    assert (ran.folder / "plots/loss.svg").exists()
    assert not list(ran.folder.glob("data/probs-*")), "shards are temporary"


def test_a_second_run_does_nothing(ran):
    files = ran.files()
    out = ran.run()
    assert "Nothing to be done" in out and rules(out) == set()
    assert ran.files() == files


def test_what_does_not_depend_on_a_change_is_not_run_again(ran):
    ran.override({"train": ["trainer.max_epochs=2", "optimizer.learning_rate=0.002"]})
    assert rules(ran.run("--dry-run")) >= {"compose", "train", "compare"}
    assert rules(ran.run("--dry-run")).isdisjoint({"gen_data", "entropy"})
    ran.override(SMALL)
    assert "Nothing to be done" in ran.run()


def test_the_outputs_of_a_rule_that_fails_are_removed(tmp_path):
    job = Job(tmp_path)
    # The run ends in its second step, when its folder already holds config.yaml and events.ndjson.
    job.override({"train": ["optimizer.learning_rate=1e30"]})
    out = job.run(status=1)
    assert "Error in rule train" in out and "Removing output files of failed job train" in out
    assert "not finite" in (tmp_path / "logs/train-0.log").read_text()
    assert [path for path in tmp_path.glob("runs/*/*") if path.is_file()] == []
    assert not (tmp_path / "compare.csv").exists()
    job.override(SMALL)
    assert "gen_data" not in rules(job.run())
    assert (tmp_path / "compare.csv").exists()


def test_what_may_pass_by_itself_is_tried_again_and_nothing_else(tmp_path):
    job = Job(tmp_path)
    job.run("data/entropy.npy --notemp")
    (tmp_path / "data/entropy.npy").unlink()
    # A disk that is full at the first attempt: `entropy` writes through a link.
    tool = tmp_path / "bin/entropy"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        'for file; do :; done\necho x >> tries\n'
        '[ "$(wc -l < tries)" -gt 1 ] && rm -f "$file" || ln -sf /dev/full "$file"\n'
        f'exec {with_tools().partition(":")[0]}/entropy "$@"\n'
    )
    tool.chmod(0o755)
    path = f'PATH="{tool.parent}:$PATH"'
    out = job.shell(f"{path} snakemake --cores 2 data/entropy.npy --notemp 2>&1")
    assert "No space left on device" in out and (tmp_path / "tries").read_text() == "x\n" * 2
    job.shell("gen-data rows=5000 --to npy | entropy -o whole.npy && cmp whole.npy data/entropy.npy")

    (tmp_path / "data/entropy.npy").unlink()
    (tmp_path / "tries").write_text("x\n")
    whole = (tmp_path / "data/probs-2-of-4.npy").read_bytes()
    (tmp_path / "data/probs-2-of-4.npy").write_bytes(whole[:-1])
    job.shell(f"{path} snakemake --cores 2 data/entropy.npy 2>&1", status=1)
    assert (tmp_path / "tries").read_text() == "x\n" * 2


def test_a_failure_within_a_pipe_fails_the_rule(tmp_path):
    job = Job(tmp_path)
    job.run("data/entropy.npy --notemp")
    whole = (tmp_path / "data/probs-2-of-4.npy").read_bytes()
    (tmp_path / "data/probs-2-of-4.npy").write_bytes(whole[:-1])
    out = job.run("data/entropy.npy", status=1)
    assert "Error in rule entropy" in out and "entropy: " in out
    assert not (tmp_path / "data/entropy.npy").exists()
    # An unknown key is an error before anything runs for it.
    job.override({"data": ["data.rwos=5"]})
    assert "rwos" in job.run("params/data.yaml", status=1)
    assert not (tmp_path / "params/data.yaml").exists()
