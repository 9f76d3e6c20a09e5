"""The manifests against Kubernetes' own schemas, which the package kubernetes-validate carries, and their scripts in a shell.

No package carries the schemas of KServe's resources: kserve.yaml is held against the fields of its Go types
(pkg/apis/serving/v1alpha1/servingruntime_types.go, v1beta1/predictor.go), copied here by name, and its containers
against Kubernetes' schema. What schemas cannot say, and the API server would refuse, is checked here too.
"""

import copy
import fcntl
import os
from pathlib import Path

import kubernetes_validate
import peers
import pytest
import yaml
from peers import load_stream, onnx_runtime, with_tools

HERE = Path(__file__).parent
# From the first release in which podFailurePolicy and Indexed Jobs are both stable to the newest that the package has.
RELEASES = ["1.31", kubernetes_validate.latest_version()]
SECRETS = {"minio": {"user", "password"}}  # made by hand, as minio.yaml says

RUNTIME = {
    "annotations": dict,
    "containers": list,
    "protocolVersions": list,
    "supportedModelFormats": list,
}
PREDICTOR = {"minReplicas": int, "maxReplicas": int, "model": dict}
MODEL = {"modelFormat": dict, "runtime": str, "protocolVersion": str, "storageUri": str}


def documents(*names):
    files = [HERE / name for name in names] or sorted(HERE.glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def resource(kind, name):
    (found,) = [document for document in documents() if (document["kind"], document["metadata"]["name"]) == (kind, name)]
    return found


PLAIN = [document for document in documents() if not document["apiVersion"].startswith("serving.kserve.io")]
NAMES = [f"{document['kind']}-{document['metadata']['name']}" for document in PLAIN]


def validate(document, release=RELEASES[-1]):
    # Strict: a key that the schema does not know is an error, which kubectl says too and a server ignores.
    kubernetes_validate.validate(document, release, strict=True)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("document", PLAIN, ids=NAMES)
def test_every_manifest_fits_the_schema(document, release):
    validate(document, release)


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("Job", "shards", ["spec", "completionMod"], "Indexed"),
        ("Job", "shards", ["spec", "completions"], "four"),
        ("Job", "shards", ["spec", "podFailurePolicy", "rules", 1, "onExitCodes", "values"], ["2"]),
        ("Job", "train", ["spec", "template", "spec", "containers", 0, "resources", "limit"], {}),
        ("Deployment", "serve", ["spec", "template", "spec", "containers", 0, "securityContext", "readonlyRootFilesystem"], True),
        ("Deployment", "serve", ["spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet"], "/v2"),
        ("Service", "serve", ["spec", "ports", 0, "port"], "http"),
        ("PersistentVolumeClaim", "rows", ["spec", "accessModes"], "ReadWriteMany"),
    ],
)
def test_a_broken_copy_is_refused(kind, name, path, value):
    broken = copy.deepcopy(resource(kind, name))
    inner = broken
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(broken)


def pods(document):
    """The pod of a workload, as a list: resources without one have none."""
    template = document["spec"].get("template") if document["kind"] in ("Job", "Deployment") else None
    return [template["spec"]] if template else []


WORKLOADS = [document for document in PLAIN if pods(document)]


@pytest.mark.parametrize("document", WORKLOADS, ids=lambda document: document["metadata"]["name"])
def test_pods_are_locked_down_and_refer_to_what_is_there(document):
    (pod,) = pods(document)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claims = {claim["metadata"]["name"] for claim in PLAIN if claim["kind"] == "PersistentVolumeClaim"}
    for volume in volumes.values():
        assert "emptyDir" in volume or volume["persistentVolumeClaim"]["claimName"] in claims
    for container in pod.get("initContainers", []) + pod["containers"]:
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]} and security["allowPrivilegeEscalation"] is False
        # MinIO's image was not tried with a root that is read-only.
        assert security.get("readOnlyRootFilesystem") or container["name"] == "minio"
        assert container["resources"]["requests"].keys() == {"cpu", "memory"} and "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container.get(probe, {}).get("httpGet", {}).get("port", "http") in ports | {"http"}
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            assert reference is None or reference["key"] in SECRETS[reference["name"]]
            assert not ({"KEY", "PASSWORD"} & set(variable["name"].split("_")) and "value" in variable)


@pytest.mark.parametrize("name", ["serve", "minio"])
def test_a_service_selects_the_pods_and_ports_of_its_deployment(name):
    template = resource("Deployment", name)["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert resource("Deployment", name)["spec"]["selector"]["matchLabels"].items() <= labels.items()
    service = resource("Service", name)["spec"]
    assert service["selector"].items() <= labels.items()
    ports = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
    for port in service["ports"]:
        assert ports[port["targetPort"]] == port["port"]


@pytest.mark.parametrize("name", ["shards", "train"])
def test_an_exit_code_decides_whether_a_pod_is_tried_again(name):
    job = resource("Job", name)["spec"]
    (container,) = job["template"]["spec"]["containers"]
    # What the API server asks of a policy, beyond the schema.
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    actions = {}
    for rule in job["podFailurePolicy"]["rules"]:
        assert ("onExitCodes" in rule) != ("onPodConditions" in rule)
        for condition in rule.get("onPodConditions", []):
            actions[condition["type"]] = rule["action"]
        codes = rule.get("onExitCodes")
        if codes:
            assert codes["containerName"] == container["name"] and codes["operator"] == "In"
            assert codes["values"] == sorted(set(codes["values"])) and 0 not in codes["values"]
            actions |= dict.fromkeys(codes["values"], rule["action"])
    assert actions == {"DisruptionTarget": "Ignore", 1: "FailJob", 2: "FailJob", 75: "Count"}


def serve_settings(container):
    """The settings of `serve` by the arguments of a container, which it accepts."""
    arguments = " ".join(f"'{word}'" for word in container["args"])
    settings = yaml.safe_load(peers.shell(f"serve --cfg {arguments}", HERE, os.environ | {"PATH": with_tools()}))["serve"]
    assert settings["host"] == "0.0.0.0"
    return settings


def test_the_server_drains_before_it_is_killed():
    pod = resource("Deployment", "serve")["spec"]["template"]["spec"]
    settings = serve_settings(pod["containers"][0])
    assert settings["drain_delay_ms"] == 5000
    assert pod["terminationGracePeriodSeconds"] * 1000 > settings["drain_delay_ms"] + settings["drain_timeout_ms"]


def only(fields, value):
    """`value` has no other fields than these, each of its type."""
    assert value.keys() <= fields.keys()
    for key, entry in value.items():
        assert isinstance(entry, fields[key]), key


def test_the_runtime_of_kserve_has_the_fields_that_kserve_knows():
    runtime, service = documents("kserve.yaml")
    assert (runtime["apiVersion"], runtime["kind"]) == ("serving.kserve.io/v1alpha1", "ServingRuntime")
    only(RUNTIME, runtime["spec"])
    for entry in runtime["spec"]["supportedModelFormats"]:
        only({"name": str, "version": str, "autoSelect": bool, "priority": int}, entry)
    assert set(runtime["spec"]["protocolVersions"]) <= {"v1", "v2", "grpc-v1", "grpc-v2"}
    (container,) = runtime["spec"]["containers"]
    assert container["name"] == "kserve-container", "the one into which KServe mounts the model"
    assert serve_settings(container)["http_port"] == container["ports"][0]["containerPort"]

    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": {"containers": [container]}}
    validate(pod)
    container["securityContext"]["runAsNonroot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(pod)

    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    only({"predictor": dict}, service["spec"])
    only(PREDICTOR, service["spec"]["predictor"])
    only(MODEL, service["spec"]["predictor"]["model"])
    assert service["spec"]["predictor"]["model"]["runtime"] == runtime["metadata"]["name"]
    assert service["spec"]["predictor"]["model"]["modelFormat"]["name"] in {
        entry["name"] for entry in runtime["spec"]["supportedModelFormats"]
    }


def container_run(job, folder, status=0, **env):
    """Runs the script of a job's container, with its environment and the volumes in `folder`."""
    (container,) = resource("Job", job)["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-euo", "pipefail", "-c"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    volumes = {"ROWS": str(folder / "rows"), "MODELS": str(folder / "models")}
    env = os.environ | {"PATH": with_tools(), "ORT_DYLIB_PATH": str(onnx_runtime())} | variables | volumes | env
    return peers.shell(container["args"][0], folder, env, status)


def test_the_scripts_of_the_jobs_make_the_rows_and_the_model_of_one_process(tmp_path):
    spec = resource("Job", "shards")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert {"name": "SHARDS", "value": str(spec["completions"])} in container["env"]
    settings = "rows=5001 data=softmax"
    for index in range(spec["completions"]):
        container_run("shards", tmp_path, JOB_COMPLETION_INDEX=str(index), SETTINGS=settings)
    parts = [path.read_bytes() for path in sorted(tmp_path.glob("rows/parts/*"))]
    peers.shell(f"gen-data {settings} --to npy | entropy -o whole.npy", tmp_path, os.environ | {"PATH": with_tools()})
    whole = load_stream((tmp_path / "whole.npy").read_bytes())
    assert (load_stream(b"".join(parts)) == whole).all()

    container_run("train", tmp_path, SETTINGS="trainer.max_epochs=2")
    env = os.environ | {"PATH": with_tools()}
    peers.shell("train --quiet whole.npy -o whole trainer.max_epochs=2 > /dev/null", tmp_path, env)
    peers.shell("cmp whole/model.safetensors rows/run/model.safetensors", tmp_path)
    peers.shell("cmp rows/run/model.onnx models/entropy/1/model.onnx", tmp_path)
    # A pod in place of a lost one finds the run finished, and publishes again.
    container_run("train", tmp_path, SETTINGS="trainer.max_epochs=2")


def test_the_scripts_of_the_jobs_fail_with_the_code_that_ends_the_job(tmp_path):
    container_run("shards", tmp_path, status=2, JOB_COMPLETION_INDEX="0", SETTINGS="rwos=5")
    container_run("shards", tmp_path, status=2, JOB_COMPLETION_INDEX="4", SETTINGS="rows=5")  # more than SHARDS
    # Where another try may help, the policy sees it, although `entropy` gets no rows and exits with 2.
    tool = tmp_path / "bin/gen-data"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 75\n")
    tool.chmod(0o755)
    path = f"{tool.parent}:{with_tools()}"
    container_run("shards", tmp_path, status=75, JOB_COMPLETION_INDEX="0", SETTINGS="rows=5", PATH=path)

    container_run("shards", tmp_path, JOB_COMPLETION_INDEX="0", SETTINGS="rows=50000")
    container_run("train", tmp_path, status=2)  # of one shard in four
    # Another process has the run folder. `cat`, which has more than a pipe holds, ends by SIGPIPE.
    (tmp_path / "rows/run").mkdir()
    with (tmp_path / "rows/run/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        container_run("train", tmp_path, status=75, SHARDS="1")
    assert not (tmp_path / "models").exists()
