"""The floor of broker mode: the barest paho client that writes messages to SQLite and acknowledges after the commit.

One row a message: topic and payload, nothing decoded, hashed or signed. synchronous=FULL, the same group as the
gateway's (500 rows, 50 ms, closed when nothing new comes), the same limit of 64 unacknowledged messages.
"""

import argparse
import queue
import sqlite3
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_GROUP, _SECONDS, _QUIET = 500, 0.05, 0.002


def write(path: str, client: paho.Client, messages: "queue.SimpleQueue[tuple[str, bytes, int]]") -> None:
    """The writer thread."""
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("PRAGMA synchronous=FULL")
    store.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, topic TEXT, payload BLOB)")
    while True:
        group = [messages.get()]
        end = time.monotonic() + _SECONDS
        while len(group) < _GROUP and time.monotonic() < end:
            try:
                group.append(messages.get(timeout=_QUIET))
            except queue.Empty:
                break
        store.execute("BEGIN")
        store.executemany("INSERT INTO message (topic, payload) VALUES (?, ?)", [one[:2] for one in group])
        store.execute("COMMIT")
        for one in group:
            client.ack(one[2], 1)


def main() -> None:
    """Connect, subscribe, say ready, write until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", required=True)
    arguments = parser.parse_args()
    messages: queue.SimpleQueue[tuple[str, bytes, int]] = queue.SimpleQueue()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="floor", protocol=paho.MQTTv5, manual_ack=True)

    def on_message(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        messages.put((message.topic, bytes(message.payload), message.mid))

    def on_connect(*_: Any) -> None:
        client.subscribe("t/#", 1)

    client.on_message = on_message
    client.on_connect = on_connect
    client.on_subscribe = lambda *_: print("floor: ready", flush=True)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    properties.ReceiveMaximum = 64
    client.connect("127.0.0.1", arguments.port, clean_start=True, properties=properties)
    threading.Thread(target=write, args=(arguments.store, client, messages), daemon=True).start()
    client.loop_forever()


if __name__ == "__main__":
    main()
