"""Composition against Hydra itself: the same files and overrides must give the same document.

Hydra's `compose` and the real binary work on the same folders: one that uses everything, with
overrides of every kind, and random text. Random trees are in peer_hydra_trees.py. Where Hydra
composes a document, ours must be equal, type by type, and our YAML must be OmegaConf's, byte by
byte; where Hydra refuses, so must we.

Left out are what OmegaConf itself cannot put in place of an interpolation (the list or dict of
`oc.decode`), and U+0085, U+2028 and U+2029 in our YAML, which YAML 1.1 and 1.2 read differently.

    pip install 'hydra-core==1.3.*' pytest
    PIPEGRAD_BIN=target/release pytest tools/lib/config/tests/peer_hydra.py
"""

import functools
import random
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hydra_peer import LOADER, check, write
from omegaconf import OmegaConf
from peers import BIN, ROOT

# --- A folder that uses everything, and overrides of every kind --------------------------------

TREE = {
    "config.yaml": """\
defaults:
  - base
  - db: mysql
  - db@backup: pg
  - optional cache: none_such
  - server: apache
  - extra: [one, two]
  - nothing: null
  - optional mix: ${db}_${server}
  - _self_
  - override server/log: verbose
name: job
count: 3
rate: 1e-3
flags: {a: true, b: [1, 2.5, x], c: {d: null}}
url: ${db.host}:${db.port}
copy: ${flags.b}
must: ???
""",
    "base.yaml": "name: base\nfrom_base: 1\nflags: {a: 0, z: last}\n",
    "db/mysql.yaml": "host: localhost\nport: 3306\nuser: ${oc.env:PIPEGRAD_NO_SUCH,root}\n",
    "db/pg.yaml": "defaults:\n  - mysql\n  - _self_\nport: 5432\nextra: [1, 2]\n",
    "db/other.yaml": "# @package _global_\nname: other\ndb: {host: h, port: 1}\n",
    "server/apache.yaml": "defaults:\n  - log: quiet\n  - _self_\nport: 80\nname: ${.port}\n",
    "server/nginx.yaml": "port: 8080\ndefaults:\n  - _self_\n  - log: quiet\n  - /db@inner: mysql\n",
    "server/log/quiet.yaml": "level: 0\n",
    "server/log/verbose.yaml": "level: 2\nto: [stderr]\n",
    "extra/one.yaml": "a: 1\nb: 1\n",
    "extra/two.yaml": "b: 2\n",
    "nothing/some.yaml": "x: 1\n",
    "mix/mysql_apache.yaml": "kind: ma\n",
    "mix/pg_nginx.yaml": "kind: pn\n",
    "exp/fast.yaml": "# @package _global_\ndefaults:\n  - override /db: pg\n  - override /server: apache\ncount: 100\n",
    "exp/here.yaml": "# @package a.b\nx: 1\n",
    "exp/group.yaml": "defaults:\n  - /db@_group_: mysql\n  - /db@_here_: pg\n  - /db@_global_: mysql\n",
}

CHOICES = """
db=pg db=other db=lime db=1 db@backup=mysql db@backup=null server=nginx ~db ~db@backup ~db=pg ~db=mysql ~server/log
server/log=quiet extra=one extra=[two,one] extra=null nothing=some +exp=fast +exp=here +exp=group +exp@y=here
+db@second=pg +db=pg nothing=null exp=fast ++exp=fast +db@=pg db@_global_=pg +exp=[here,group] server/nope=x
""".split()

VALUES = """
db.port=1 db={port:5} db={prt:5} +db={prt:5} count=4 count=abc cout=4 +cout=4 ++cout=4 +count=4 ++count=4 ~count ~cout
~count=3 ~count=4 ~flags.c ~flags.c.d flags.b=[] flags.b.0=9 flags.b.7=9 +flags.b.3=9 flags={a:2} flags={q:2} +flags={q:2}
flags=5 flags=[1] flags.b={a:1} flags.c=null flags.c.d.e=1 +flags.c.d.e=1 ++flags.a.q=1 +x.y.z=1 x.y.z=1 must=1 +must=1 ~must
url=plain url=${name} name=${db} name=${nope} name=${name} copy=[1,2] +copy.0=5 copy.0=5 ++url.x=1 ~copy ~copy.0 ~flags.b.0
name= name='' name=a\\,b name=a,b name=choice(a,b) name=int('3') name=str(3.0) name=float(1) name=bool(yes) name=bool(0)
name=[1,[2,{a:b}]] name={a:{b:1},c:[]} name=1e-3 name=1_000 name=-5 name=+5 name=.5 name=5. name=inf name=-inf name=nan
name=0x1f name=007 name=true name=TRUE name=yes name=null name=NULL name=~ name=a=b name=a:b name=/x/y.z name=C:\\\\x name=a#b
name=1.2.3 name=${oc.select:db.port} name=${oc.select:nope,7} name='${oc.create:{a:1}}'
name='${oc.dict.keys:db}' name='${oc.dict.values:flags.c}' name=${oc.env:PIPEGRAD_NO_SUCH} name=${oc.env:PIPEGRAD_NO_SUCH,null}
name='${oc.env:PIPEGRAD_NO_SUCH,1.50}' name='${db.${extra.key}}' name='x${flags}y' name='${flags.a}/${rate}/${flags.c.d}'
name='\\${a}' name='${nosuch:1}' name='${db[port]}' name='${copy[0]}' name=${flags} name=${.count} name=${..count}
name='${oc.deprecated:count}' name='${oc.decode:null}' name='${oc.decode:{a:1,b:[x,y]}}'
name='${oc.select:.count}' name='${oc.select:"flags.c"}' name=${must} name='a${must}' name='${oc.select:must,1}'
name=2020-01-01 name=1:30 name=y name='null' name='1' name='1e3' name='#x' name=@x name=%y name='&a' name='*a' name='!t'
name='[x' name='{x' name='x]' name='"q"' name='a,b' name='?' name='-' name='a?b' name='...' name='---' name='=x' name='='
name='<<' name='~' name='0o17' name='0b1' name='.5' name='1_000' name='12:30:45' name='on' name='x:' name=':x' name='|'
name='>' name='%x' name='`x' name='\\\\' name='é' name='日本' name='\\'' name="it's" name='08' name='1e' name='0x' name='-x'
name='?x' name='.' name='.inf' name='.nan' name='+1' name='-.5' name='a{b' name='a,' name='N' name='No' name='NULL' name='😀'
rate=1e100 rate=1e16 rate=123456789.125 rate=1e-5 rate=1.5e300 rate=5e-324 count=12345678901234567890123456789012345678
= a a..b=1 a.b.=1 + ~ ++ name name=[ name=( name=) name=f(x) name=int(x) name=int(1,2) name=[1,] name={a} name={a:} name='open
name=[] name={} name=int([1.7,'2']) name=str([1,true]) name=str(null) name=int(null) name=int(1.9) name=bool(2.5)
name=str({a:1}) name=float('1e3') name=str(1e-7) name=str('x') name=range(1,3) name=glob(*) name=interval(0,1) name=sort(3,1)
name=sort([3,1]) name=sort([3,1],reverse=true) name=sort(1) name=sort([b,1]) name=shuffle(1) name=shuffle([x]) name=tag(x,1)
name=bool(null) name=int(1e30) name=int(1,value=null) name=choice(1) name=[choice(1,2)] db='pg' extra=['two',"one"]
name=${} name=${a name='${a' name=$x name=a$b name='$x' name=\\$x name=x\\ y name=\\[x\\] name=a\\b name=a\\\\b name='a\\b' name='a\\\\'
a/b=1 count/x=1 count@x=1 1=2 a.1=2 +a.1=2 +a-b=1 name='${oc.env:HOME,}x' name='${oc.select:"",1}'
""".split()

SPACED = [
    "a b=c", "name=a b", "name= x ", "name=[ ]", "name=[a b, c]", "name={a b: c}", "name='- x'", "name='a: b'", "name='x #y'",
    "name='  pad '", "name='tab\there'", "name='line\nbreak'", "name='line\n'", "name='? x'", "name='a  b'", "name=' '",
    "name='\x01'", "name='\x7f'", "name='\xa0x'", "name='\ufeffx'", "name='x\r\ny'", "name='${db}\nx'",
    "name='" + "long word " * 20 + "'", "name='" + "x" * 100 + "'", "name='" + "it''s: long " * 12 + "'", "name='\n'", "name='a\n\nb'",
    "name='" + "long \t word " * 15 + "'", "name='" + "ünï cödé " * 20 + "'", "name=int( 3 )", "name=int (3)", "name={ a : 1 , b : 2 }",
    "+name2=['" + "long word " * 20 + "']", "+deep.er.key='" + "long word, " * 20 + "'", "name=  ", "name='a' ", "name= 'a'",
    "name=a : b", "name=${oc.select: db.port }", "name=${ count }", "name='${oc.decode:\" 5 \"}'", "name='${oc.select:nope, a b }'",
]  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tree")
    write(folder, TREE)
    return folder


@pytest.mark.parametrize("override", CHOICES + VALUES + SPACED)
def test_each_override(tree, override):
    check(tree, [override])


def test_the_tree_itself(tree):
    assert check(tree, [])


@pytest.mark.parametrize("seed", range(150))
def test_pairs_of_overrides(tree, seed):
    check(tree, random.Random(seed).sample(CHOICES + VALUES[:60], 2))


@pytest.mark.parametrize(
    "override", [None, "data=line", "data=edge", "data=softmax", "score=classification", "+relu=default", "trainer.seed=1"]
)
def test_our_own_configs(override):
    assert check(ROOT / "configs", [override] if override else [], "entropy")


# --- Random text -------------------------------------------------------------------------------


def random_text(draw, pieces, most):
    return "".join(draw.choice(pieces) for _ in range(draw.randint(1, most)))


@pytest.mark.parametrize("seed", range(5))
def test_plain_scalars_are_typed_alike(tmp_path, seed):
    """A thousand plain scalars in one file, numbers and near misses most of all."""
    draw = random.Random(seed)
    pieces = [*"0123456789.eE_+-:xobBX", "0x", "0b", "inf", "nan", ".", "true", "no", "On", "null", "~", "1", "12", "60"]
    lines = []
    while len(lines) < 1000:
        line = f"k{len(lines)}: {random_text(draw, pieces, 5)}"
        try:
            yaml.load(line, Loader=LOADER)
        except (yaml.YAMLError, ValueError):
            continue
        lines.append(line)
    write(tmp_path, {"config.yaml": "\n".join(lines) + "\n"})
    assert check(tmp_path, [])


@pytest.mark.parametrize("seed", range(150))
def test_random_values_are_parsed_alike(tree, seed):
    draw = random.Random(seed)
    pieces = [*"ab10.,:=-+/\\ []{}()'\"$@%_~", "1e3", "null", "true", "int(", "str(", "${count}", "${", "a:", "\\'", '\\"', "\\,", "'a'"]
    check(tree, ["name=" + random_text(draw, pieces, 6)])


@pytest.mark.parametrize("seed", range(150))
def test_random_interpolations_are_resolved_alike(tree, seed):
    draw = random.Random(seed)
    pieces = ["${", "}", "${count}", "${flags.a}", "${db.port}", "${oc.select:", "${oc.decode:", "${oc.create:", "nope", "count", ",",
              "[", "]", "{", "}", ":", " ", "'", '"', "\\", "1", "x", ".", "db", "${.", "${copy.", "null", "${oc.env:PIPEGRAD_NO_SUCH,"]  # fmt: skip
    # Escaped references are in the test below: OmegaConf would take them, once plain text, for references again.
    text = re.sub(r"\\+\$", "$", random_text(draw, pieces, 7))
    files = {"config.yaml": TREE["config.yaml"] + f"mine: |-\n  {text}\n"}
    folder = Path(tree).parent / f"mine{seed}"
    write(folder, {**TREE, **files})
    check(folder, [])


def test_escaped_references_survive_resolving(tmp_path):
    """What `compose --resolve` writes has, to OmegaConf and to `--config`, the texts of the source."""
    draw = random.Random(7)
    pieces = ["\\", "\\\\", "\\${", "}", "\\${a}", "a", "$", "{", " ", "'", '"', "${a}"]
    texts = []
    while len(texts) < 300:
        text = random_text(draw, pieces, 6)
        try:
            value = OmegaConf.create({"a": 1, "x": text}).x
        except Exception:  # OmegaConf refuses with many types.
            continue
        texts.append((text, value))
    assert sum("${" in str(value) for _, value in texts) > 50
    source = {"a": 1} | {f"x{at}": text for at, (text, _) in enumerate(texts)}
    write(tmp_path, {"config.yaml": yaml.safe_dump(source)})
    resolve = [BIN / "compose", "--resolve"]
    run = functools.partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=True)
    once = run([*resolve, "--config-path", tmp_path, "--config-name", "config"]).stdout
    # Each by itself: `OmegaConf.resolve` would parse its own results again.
    theirs = OmegaConf.create(once)
    assert [theirs[f"x{at}"] for at in range(len(texts))] == [value for _, value in texts]
    (tmp_path / "once.yaml").write_text(once)
    assert run([*resolve, "--config", "once.yaml"]).stdout == once
