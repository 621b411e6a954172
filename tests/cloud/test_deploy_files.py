"""What operators are given is what Kubernetes, Compose, NATS and systemd accept, and holds together."""

from __future__ import annotations

import argparse
import copy
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

from cloud.command import add_arguments
from cloud.settings import load_settings
from tests.processes import REPOSITORY, program

DEPLOY = REPOSITORY / "cloud" / "deploy"
KUBERNETES = "1.34"
Manifest = dict[str, Any]
EXPOSURE_MAX = 25  # systemd's measure in tenths: 0 is nothing, 100 is everything


def manifests() -> list[Manifest]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    documents = [one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return [one for one in documents if one["kind"] != "Kustomization"]


def kustomization() -> Manifest:
    loaded: Manifest = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text(encoding="utf-8"))
    return loaded


def named(one: Manifest) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def of_kind(kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] == kind}


def compose() -> Manifest:
    loaded: Manifest = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("one", manifests(), ids=named)
def test_kubernetes_takes_each_manifest_to_the_letter(one: Manifest) -> None:
    kubernetes_validate.validate(one, KUBERNETES, strict=True)


@pytest.mark.parametrize(("place", "value"), [("replicas", "three"), ("replica", 3)])
def test_a_mistake_in_a_manifest_is_seen(place: str, value: object) -> None:
    wrong = copy.deepcopy(of_kind("StatefulSet")["minglou-nats"])
    wrong["spec"][place] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


def test_three_replicas_three_nats_one_postgresql_and_a_chain_node_outlive_what_they_may() -> None:
    sets, budgets = of_kind("StatefulSet"), of_kind("PodDisruptionBudget")
    replicas = {name: one["spec"]["replicas"] for name, one in sets.items()}
    assert replicas == {"minglou-cloud": 3, "minglou-postgres": 1, "minglou-nats": 3, "minglou-chain": 1}
    for name in ("minglou-cloud", "minglou-nats"):
        assert budgets[name]["spec"]["minAvailable"] == replicas[name] - 1
        assert budgets[name]["spec"]["selector"] == sets[name]["spec"]["selector"]


def test_manifests_name_only_what_is_there() -> None:
    made = kustomization()
    assert sorted(made["resources"]) == sorted(
        path.name for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml"
    )
    maps = set(of_kind("ConfigMap")) | {one["name"] for one in made["configMapGenerator"]}
    secrets = {one["name"] for one in made["secretGenerator"]}
    services = of_kind("Service")
    for name, one in of_kind("StatefulSet").items():
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items(), name
        assert services[one["spec"]["serviceName"]]["spec"]["clusterIP"] == "None", name
        assert any(service["spec"]["selector"].items() <= labels.items() for service in services.values()), name
    for one in pods():
        given = {volume["name"] for volume in one["volumes"]}
        assert {volume["configMap"]["name"] for volume in one["volumes"] if "configMap" in volume} <= maps
        assert {volume["secret"]["secretName"] for volume in one["volumes"] if "secret" in volume} <= secrets
        containers = one["containers"] + one.get("initContainers", [])
        mounted = {mount["name"] for container in containers for mount in container["volumeMounts"]}
        assert mounted - given <= {"data"}  # claimed by template
        asked = [variable.get("valueFrom", {}).get("secretKeyRef") for c in containers for variable in c.get("env", ())]
        assert {found["name"] for found in asked if found} <= secrets


def pods() -> list[Manifest]:
    found = [one["spec"]["template"]["spec"] for one in of_kind("StatefulSet").values()]
    return found + [one["spec"]["jobTemplate"]["spec"]["template"]["spec"] for one in of_kind("CronJob").values()]


def test_no_container_is_root_or_can_become_it() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_compose_takes_the_file_and_sees_a_mistake_in_it() -> None:
    whole = compose()
    PyCompose.from_json(json.dumps(whole)).validate()
    for service, key, value in (("postgres", "restart", "sometimes"), ("nats-0", "volums", ["nats-0:/data"])):
        wrong = copy.deepcopy(whole)
        wrong["services"][service][key] = value
        with pytest.raises(ValueError, match=r"sometimes|volums"):
            PyCompose.from_json(json.dumps(wrong)).validate()


def test_composes_services_name_only_what_is_there() -> None:
    whole = compose()
    assert set(whole["services"]) == {"cloud-0", "cloud-1", "postgres", "nats-0", "nats-1", "nats-2", "chain"}
    for name, service in whole["services"].items():
        sources = [volume.partition(":")[0] for volume in service.get("volumes", ())]
        assert {source for source in sources if not source.startswith(".")} <= set(whole["volumes"]), name
        for source in sources:
            if source.startswith("./") and not source.startswith("./site"):
                assert (DEPLOY / "compose" / source).exists(), source
        assert set(service.get("secrets", ())) <= set(whole["secrets"]), name
        assert service["restart"] == "always", name
    assert (DEPLOY / "compose" / whole["services"]["cloud-0"]["build"]["context"]).resolve() == REPOSITORY


def test_the_cloud_reads_the_settings_that_are_deployed(tmp_path: Path) -> None:
    in_compose = (DEPLOY / "compose" / "cloud.toml").read_text(encoding="utf-8")
    for text in (in_compose, of_kind("ConfigMap")["minglou-cloud"]["data"]["cloud.toml"]):
        (tmp_path / "cloud.toml").write_text(text, encoding="utf-8")
        settings = load_settings(tmp_path / "cloud.toml")
        assert (settings.host, settings.port) == ("0.0.0.0", 8600)
        assert settings.store_url.startswith("postgresql+asyncpg://minglou@")  # no password in it
        assert settings.ingest_log is not None
        assert (len(settings.ingest_log.servers), settings.ingest_log.replicas) == (3, 3)
        assert settings.data_dir == Path("/var/lib/minglou")
        assert settings.trusted_proxies, "all residents would be one address"
        assert settings.chain is not None and settings.chain.chain_id == _chain_id()


def test_replicas_share_one_key_store_and_one_audit_key(tmp_path: Path) -> None:
    clouds = {name: one for name, one in compose()["services"].items() if name.startswith("cloud-")}
    mounts = [{path: name for name, path in (at.split(":")[:2] for at in one["volumes"])} for one in clouds.values()]
    keys_dir, secrets = "/var/lib/minglou-keys", {"master-key", "audit-key"}
    assert len(mounts) == 2 and len({one[keys_dir] for one in mounts}) == 1
    assert len({one["/var/lib/minglou"] for one in mounts}) == 2
    assert all(secrets <= set(one["secrets"]) for one in clouds.values())
    made = next(one for one in kustomization()["secretGenerator"] if one["name"] == "minglou-cloud")
    assert {f"secrets/{name}" for name in secrets} <= set(made["files"])
    claim = of_kind("PersistentVolumeClaim")["minglou-keys"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in (one for one in pods() if any("minglou" in container["image"] for container in one["containers"])):
        volumes = {one["name"]: one.get("persistentVolumeClaim") for one in pod["volumes"]}
        for container in pod["containers"]:
            mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
            assert volumes[mounted[keys_dir]] == {"claimName": "minglou-keys"}
    of_replicas = {one for one in (DEPLOY / "systemd").glob("*.service") if one.stem != "minglou-sites"}
    for unit in of_replicas:  # several sites in one process have no replicas: each keeps its keys with its data
        assert "minglou/keys" in unit.read_text(encoding="utf-8"), unit
    in_compose = (DEPLOY / "compose" / "cloud.toml").read_text(encoding="utf-8")
    for text in (in_compose, of_kind("ConfigMap")["minglou-cloud"]["data"]["cloud.toml"]):
        (tmp_path / "cloud.toml").write_text(text, encoding="utf-8")
        settings = load_settings(tmp_path / "cloud.toml")
        shared = (settings.keys_dir, settings.master_key_file, settings.audit_key_file)
        assert not any(path.is_relative_to(settings.data_dir) for path in shared)


def _chain_id() -> int:
    genesis = json.loads((REPOSITORY / "docs" / "chains" / "besu-qbft.json").read_text(encoding="utf-8"))
    return int(genesis["genesis"]["config"]["chainId"])


def test_the_nats_server_accepts_each_nodes_settings(tmp_path: Path) -> None:
    in_compose = (DEPLOY / "compose" / "nats.conf").read_text(encoding="utf-8")
    in_kubernetes = of_kind("ConfigMap")["minglou-nats"]["data"]["nats.conf"]
    for text, nodes in ((in_compose, "nats-{}:6222"), (in_kubernetes, "minglou-nats-{}.minglou-nats:6222")):
        file = tmp_path / "nats.conf"
        file.write_text(text, encoding="utf-8")
        given = {**os.environ, "HOSTNAME": "nats-0", "POD_NAME": "minglou-nats-0", "NATS_PASSWORD": "x"}
        told = subprocess.run(
            [program("nats-server"), "--config", file, "-t"], env=given, capture_output=True, text=True, timeout=60
        )
        assert told.returncode == 0, told.stderr
        assert all(nodes.format(number) in text for number in range(3))


def test_systemd_accepts_every_unit_and_finds_the_cloud_locked_in(tmp_path: Path) -> None:
    units = sorted((DEPLOY / "systemd").iterdir())
    timers = {path.stem for path in units if path.suffix == ".timer"}
    assert timers == {path.stem for path in units if path.suffix == ".service"} - {"minglou-cloud@", "minglou-sites"}
    if shutil.which("systemd-analyze") is None:
        return  # held against each other above on every machine
    stand_in = tmp_path / "minglou"
    stand_in.write_text("#!/bin/sh\n")
    stand_in.chmod(0o755)
    for path in units:
        text = path.read_text(encoding="utf-8").replace("/opt/minglou/bin/minglou", str(stand_in))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    laid = [str(tmp_path / path.name) for path in units]
    told = subprocess.run(["systemd-analyze", "verify", "--man=no", *laid], capture_output=True, text=True, timeout=120)
    assert [line for line in told.stderr.splitlines() if "minglou" in line] == []
    security = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}"]
    for name in ("minglou-cloud@.service", "minglou-sites.service"):
        judged = subprocess.run([*security, str(tmp_path / name)], capture_output=True, text=True, timeout=120)
        assert judged.returncode == 0, judged.stdout[-400:]


def test_units_and_manifests_call_commands_that_exist() -> None:
    called = [
        line.partition("ExecStart=")[2].split()[1:]
        for path in (DEPLOY / "systemd").glob("*.service")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("ExecStart=")
    ]
    called += [
        container["args"] for pod in pods() for container in pod["containers"] if "minglou" in container["image"]
    ]

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert len(called) >= 5
    for words in called:
        assert words[0] == "cloud"
        assert parser.parse_args([re.sub("%i", "0", word) for word in words[1:]]).action == words[1]
