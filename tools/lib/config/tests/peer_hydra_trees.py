"""Random trees of config files and overrides, composed by Hydra and by the real binary.

The cases are drawn by Hypothesis, which shrinks one that differs to a small one. In the ordinary
tests they are the same each time; `make bench-hydra` draws PEER_EXAMPLES new ones. Cases that once
differed are in `FIXED`; where the two differ on purpose, in `DIFFERENCES`, which docs/config.md
explains.

    pip install 'hydra-core==1.3.*' hypothesis pytest
    PIPEGRAD_BIN=target/release pytest tools/lib/config/tests/peer_hydra_trees.py
"""

import collections
import os
import tempfile

import pytest
from hydra_peer import check, hydra, ours, same, write
from hydra_trees import cases
from hypothesis import HealthCheck, given, settings

EXAMPLES = int(os.environ.get("PEER_EXAMPLES", 0))
# What the ordinary tests draw: some 20 s of Hydra's time.
ORDINARY = 400

agreed = collections.Counter()


@settings(
    max_examples=EXAMPLES or ORDINARY,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(cases)
def test_random_trees(case):
    files, overrides = case
    with tempfile.TemporaryDirectory() as folder:
        write(folder, files)
        agreed["composed" if check(folder, overrides) else "refused"] += 1


def test_enough_random_trees_compose():
    """The generator would prove nothing if Hydra refused most of its trees."""
    print(f"\n{sum(agreed.values())} cases agree: {agreed['composed']} composed, {agreed['refused']} refused")
    assert agreed["composed"] > agreed["refused"] / 3


# --- Cases that once differed ------------------------------------------------------------------

FIXED = {
    "a key that no line can begin with": ({"config.yaml": '"": "\\u00e9\\n"\n"a\\nb": {"": [1]}\n'}, []),
    "a long key": ({"config.yaml": f"{'k' * 122}: 1\n{'l' * 123}: {{a: [1]}}\n{'m' * 124}: [{{a: 1}}, x]\n"}, []),
    "a missing part of a key": ({"config.yaml": "n: ${a.${l}}\nl: ???\na: {b: 1}\n"}, []),
    "a missing argument": ({"config.yaml": "k: ???\nl: ${oc.env:PIPEGRAD_NO_SUCH,${k}}\n"}, []),
    "below a missing value": ({"config.yaml": "k: ${m[0]}\nm: ???\nl: '${oc.select:m.0,1}'\n"}, []),
    "the keys of the mapping that asks": ({"config.yaml": "a: {m: '${oc.dict.keys:a}'}\n"}, []),
    "the values of the mapping that asks": ({"config.yaml": "a: {m: '${oc.dict.values:a}'}\n"}, []),
    "a name as an index": ({"config.yaml": "l:\n- '${oc.select:.l,x}'\n"}, []),
}


@pytest.mark.parametrize("case", FIXED)
def test_cases_that_once_differed(tmp_path, case):
    files, overrides = FIXED[case]
    write(tmp_path, files)
    check(tmp_path, overrides)


# --- Where the two differ on purpose -----------------------------------------------------------

# The config, the overrides, and what each makes of them; None where it refuses.
DIFFERENCES = {
    "a mark in a flow list": ("k: [???]\n", [], None, {"k": ["???"]}),
    "an anchor twice": ("k: &a 1\nl: &a 2\nm: *a\n", [], None, {"k": 1, "l": 2, "m": 2}),
    "an escape that is referred to": ("k: \\${k}\nl: ${k}\n", [], None, {"k": "\\${k}", "l": "\\${k}"}),
    "a circle that is taken away": ("k: {n: '${.}'}\n", ["~k"], None, {}),
    "a key that is a number": ("1: x\n", [], {1: "x"}, None),
    "a long integer": (f"k: {2**127}\n", [], {"k": 2**127}, None),
    "a list as a default": ("k: ${oc.select:nope,[1]}\n", [], None, {"k": [1]}),
    "a list from oc.decode": ("k: '${oc.decode:\"[1]\"}'\n", [], None, {"k": [1]}),
}


@pytest.mark.parametrize("case", DIFFERENCES)
def test_listed_differences_are_there(tmp_path, case):
    """So that the list in the documentation is neither too long nor wrong."""
    text, overrides, theirs, answer = DIFFERENCES[case]
    write(tmp_path, {"config.yaml": text})
    for compose, expected in [(hydra, theirs), (ours, answer)]:
        made, document = compose(tmp_path, overrides, "config")
        assert same(document if made is not None else None, expected), document
