"""The MQTT broker that stands in the house: mosquitto, or the NATS server's MQTT listener where that is missing."""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from provisioning.names import SecretNames
from provisioning.site import Site

__all__ = ["mosquitto_files", "nats_file"]

_ITERATIONS = 101  # what mosquitto_passwd 2.0 uses; the passwords are 144 random bits


def mosquitto_files(
    site: Site,
    names: SecretNames,
    *,
    directory: Path,
    port: int,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Mapping[str, str]:
    """Contents of mosquitto.conf, acl and passwd, by file name. Sessions and queues survive a restart (autosave)."""
    rights = _rights(site)
    configuration = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous false",
        f"user {getpass.getuser()}",
        f"password_file {directory / 'passwd'}",
        f"acl_file {directory / 'acl'}",
        "persistence true",
        f"persistence_location {directory}/",
        "autosave_interval 5",
        "max_queued_messages 0",
        "max_inflight_messages 200",
        "log_dest stdout",
        "log_type error",
        "log_type warning",
    ]
    acl: list[str] = []
    for user, (reads, writes) in rights.items():
        acl += [
            f"user {user}",
            *(f"topic read {topic}" for topic in reads),
            *(f"topic write {topic}" for topic in writes),
            "",
        ]
    passwd = [f"{user}:{_mosquitto_hash(names.passwords[user], random_bytes(12))}" for user in rights]
    return {
        "mosquitto.conf": "\n".join(configuration) + "\n",
        "acl": "\n".join(acl),
        "passwd": "\n".join(passwd) + "\n",
    }


def nats_file(site: Site, names: SecretNames, *, directory: Path, port: int, client_port: int) -> str:
    """The NATS server's configuration with its MQTT listener; topics `a/b` are subjects `a.b` there."""
    users = [
        {
            "user": user,
            "password": names.passwords[user],
            "permissions": {
                "subscribe": [*map(_subject, reads), "$MQTT.>", "_INBOX.>"],
                "publish": [*map(_subject, writes), "$MQTT.>", "$JS.>"],
            },
        }
        for user, (reads, writes) in _rights(site).items()
    ]
    return json.dumps(
        {
            "server_name": "minglou-demo",
            "host": "127.0.0.1",
            "port": client_port,
            "jetstream": {"store_dir": str(directory / "jetstream")},
            "mqtt": {"host": "127.0.0.1", "port": port, "max_ack_pending": 200},
            "authorization": {"users": users},
        },
        indent=1,
    )


def _rights(site: Site) -> dict[str, tuple[list[str], list[str]]]:
    """(read, write) topics of each user: a device writes its own topic, reads its own commands, and nothing else."""
    devices = [device for device in site.devices if device.mqtt not in (None, "endpoint")]
    rights: dict[str, tuple[list[str], list[str]]] = {
        "gateway": (
            [f"{device.topic}/#" for device in devices]
            + [f"{device.topic}" for device in devices]
            + ["minglou/+/+/command", "homeassistant/status"],
            ["homeassistant/#", "minglou/#"] + [f"{device.topic}/command" for device in devices],
        ),
        "homeassistant": (["homeassistant/#", "minglou/#"], ["minglou/+/+/command", "homeassistant/status"]),
    }
    for device in devices:
        assert device.username is not None and device.topic is not None
        rights[device.username] = ([f"{device.topic}/command"], [device.topic, f"{device.topic}/#"])
    return rights


def _mosquitto_hash(password: str, salt: bytes) -> str:
    """mosquitto 2.0's `$7$` form: PBKDF2-HMAC-SHA512, 64 bytes."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _subject(topic: str) -> str:
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")
