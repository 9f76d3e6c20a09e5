"""Hydra and the real binary on the same folder: what each composes, and whether they agree."""

import math
import re
import subprocess
import warnings
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader
from peers import BIN

LOADER = get_yaml_loader()

warnings.filterwarnings("ignore")
# Hydra composes its own logging, launcher and help anew for every job, which takes most of its time
# and no part in the document.
ConfigStore.instance().store(group="hydra", name="config", node=HydraConf(defaults=["_self_"]), provider="hydra")


def hydra(folder, overrides, config):
    """The YAML and the document that Hydra composes, or None and its error."""
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            cfg = compose(config, overrides=list(overrides))
            OmegaConf.resolve(cfg)
            document = OmegaConf.to_container(cfg)
            if "${" not in OmegaConf.to_yaml(cfg):
                return OmegaConf.to_yaml(cfg), document
            # Text that looks like a reference: ours is escaped, so that it reads back as the same text.
            document = escaped(document)
            return OmegaConf.to_yaml(OmegaConf.create(document)), document
    except Exception as error:  # Hydra refuses with many types, and not only its own.
        return None, f"{type(error).__name__}: {error}"


def escaped(value):
    """A document whose values resolve to these: before `${`, two backslashes for one, and another."""
    if isinstance(value, dict):
        return {key: escaped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [escaped(child) for child in value]
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def ours(folder, overrides, config):
    """The YAML and the document that the binary composes, or None and its error."""
    command = [BIN / "compose", "--resolve", "--config-path", folder, "--config-name", config, "--", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode == 0:
        return done.stdout, yaml.load(done.stdout, Loader=LOADER)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    return None, done.stderr


def same(a, b):
    """Equality that tells 1 from 1.0 and from True, and takes NaN for NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


def check(folder, overrides, config="config"):
    """Compares the two; tells whether there was a document to compare."""
    their_yaml, theirs = hydra(folder, overrides, config)
    our_yaml, answer = ours(folder, overrides, config)
    story = f"{overrides} in {folder}\nHydra: {theirs}\nours:  {answer}"
    assert (their_yaml is None) == (our_yaml is None), story
    if their_yaml is not None:
        assert same(theirs, answer), story
        assert their_yaml == our_yaml, story
    return their_yaml is not None


def write(folder, files):
    for name, text in files.items():
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
