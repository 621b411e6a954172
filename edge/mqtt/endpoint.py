"""The gateway's own MQTT endpoint: devices log in here, and a PUBACK means that the message is on disk.

It is no broker: nothing published is passed on to other clients. A device may publish on its own topics and listen on
its own command topic, nothing else.
"""

import asyncio
import json
import logging
import ssl
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from edge.committer import Committer, Submission
from edge.credentials import Credentials
from edge.deliveries import REMEMBERED
from edge.errors import CollectorError, PacketError
from edge.log_store import DeliveryRow, EntryRow
from edge.mqtt import packet
from edge.mqtt.connection import Connection, Publish, Received
from edge.mqtt.ingest import MqttDevice, MqttIngest, Taken, by_topic
from edge.mqtt.packet import Connect, Subscribe
from edge.settings import EndpointSettings

_CONNECTIONS_MAX = 1024
_SWEEP_SECONDS = 1.0
_LOGINS_AT_ONCE = 2
_NO_ROUTES: Mapping[bytes, tuple[MqttDevice, str]] = {}
_log = logging.getLogger("edge.endpoint")


class Client(asyncio.Protocol):
    """One device's connection."""

    def __init__(self, endpoint: "Endpoint") -> None:
        self._endpoint = endpoint
        self._now = asyncio.get_running_loop().time
        self.connection = Connection(self._now())
        self.transport: asyncio.Transport | None = None
        self.login: Connect | None = None
        self.name = ""  # of its user and client id, once logged in
        self.session = ""  # the same for a persistent session, empty for a clean one
        self.routes = _NO_ROUTES
        self.filters: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._endpoint.opened(self)

    def data_received(self, chunk: bytes) -> None:
        try:
            received = self.connection.receive(chunk, self._now())
            if received.messages:
                self._endpoint.take(self, received.messages)
            if received.connect or received.subscribes or received.unsubscribes or received.pings or received.closed:
                self._rest(received)
        except PacketError as error:
            self._endpoint.count_malformed()
            self.close(error.reason)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._endpoint.closed(self)

    def send(self, encoded: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(encoded)

    def close(self, reason: int = 0) -> None:
        """Close, telling an MQTT 5 client why."""
        if self.transport is not None and not self.transport.is_closing():
            if reason and self.connection.greeted:
                self.transport.write(packet.encode_disconnect(self.connection.version, reason))
            elif reason:
                self._refuse(reason)
            self.transport.close()

    def _refuse(self, reason: int) -> None:
        version = self.connection.version
        self.send(packet.encode_connack(version, reason, session_present=False, receive_maximum=0, client_id=""))

    def _rest(self, received: Received) -> None:
        if received.connect is not None:
            self._endpoint.log_in(self, received.connect)
        for subscribe in received.subscribes:
            self._endpoint.subscribe(self, subscribe)
        for unsubscribe in received.unsubscribes:
            self.filters.difference_update(unsubscribe.filters)
            version = self.connection.version
            self.send(packet.encode_unsuback(version, unsubscribe.packet_id, len(unsubscribe.filters)))
        if received.pings:
            self.send(packet.PINGRESP_BYTES * received.pings)
        if received.closed:
            self.login = None  # it said goodbye: no will
            self.close()


class Endpoint:
    """All clients, and the sink that acknowledges them after each commit."""

    def __init__(
        self, settings: EndpointSettings, devices: Sequence[MqttDevice], credentials: Credentials,
        ingest: MqttIngest, committer: Committer, sessions: Sequence[tuple[str, str, str]], now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._now_ms = now_ms
        self._settings = settings
        self._devices = devices
        self._credentials = credentials
        self._ingest = ingest
        self._committer = committer
        self._clients: set[Client] = set()
        self._by_session: dict[str, Client] = {}
        self._logged_in: Counter[str] = Counter()
        self._sessions: dict[str, set[str]] = {name: set(json.loads(filters)) for name, _, filters in sessions}
        self._paused: set[Client] = set()
        self._unsent: list[tuple[Client, list[bytes]]] = []
        self._unsent_lock = threading.Lock()
        self._logins: set[asyncio.Task[None]] = set()
        self._login_slots = asyncio.Semaphore(_LOGINS_AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self.listening = asyncio.Event()
        self.malformed = 0

    # ---- running ----

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            CollectorError: the address cannot be listened at.
        """
        where = self._settings.listen
        try:
            server = await self._loop.create_server(
                lambda: Client(self), where.host, where.port, ssl=self._tls(), backlog=_CONNECTIONS_MAX
            )
        except OSError as error:
            raise CollectorError(f"MQTT endpoint {where.host}:{where.port}: {error.strerror}; free the port") from error
        self.listening.set()
        try:
            while True:
                await asyncio.sleep(_SWEEP_SECONDS)
                self._close_silent()
        finally:
            server.close()
            for client in list(self._clients):
                client.close(packet.SERVER_BUSY if client.connection.greeted else 0)

    @property
    def connected(self) -> int:
        return len(self._clients)

    def lines(self) -> dict[bytes, tuple[bool, int]]:
        """By device: whether a connection of its user stands, and how many were made since the start."""
        here = {client.login.username for client in self._clients if client.login is not None and client.routes}
        return {
            device.recorder.device: (device.username in here, self._logged_in[device.username])
            for device in self._devices
        }

    def room_again(self) -> None:
        """Called in the writer thread when its queue has room."""
        self._loop.call_soon_threadsafe(self._resume)

    def committed(self, tokens: list[tuple[Client, list[bytes]]]) -> None:
        """Called in the writer thread: these messages are on disk."""
        with self._unsent_lock:
            self._unsent.extend(tokens)
            is_first = len(self._unsent) == len(tokens)
        if is_first:
            self._loop.call_soon_threadsafe(self._acknowledge)

    def _acknowledge(self) -> None:
        """Acknowledge what is on disk by now: one write a client, however many groups were committed meanwhile."""
        with self._unsent_lock:
            tokens, self._unsent = self._unsent, []
        by_client: dict[Client, list[bytes]] = {}
        for client, acknowledgements in tokens:
            by_client.setdefault(client, []).extend(acknowledgements)
        for client, acknowledgements in by_client.items():
            if acknowledgements:
                client.send(b"".join(acknowledgements))

    def command(self, device: MqttDevice, payload: bytes) -> int:
        """Send a command to a device that listens for it; how many of its connections took it."""
        taken = 0
        for client in self._clients:
            if device.command_topic in client.filters:
                client.send(packet.encode_publish(client.connection.version, device.command_topic, payload))
                taken += 1
        return taken

    # ---- one client's events ----

    def opened(self, client: Client) -> None:
        if len(self._clients) >= _CONNECTIONS_MAX and client.transport is not None:
            client.transport.abort()
        self._clients.add(client)

    def closed(self, client: Client) -> None:
        self._clients.discard(client)
        self._paused.discard(client)
        if self._by_session.get(client.name) is client:
            del self._by_session[client.name]
        will = client.login.will if client.login else None
        if will is not None and will.topic in client.routes:
            self.take(client, [(will.topic, will.payload, b"", False)])

    def count_malformed(self) -> None:
        self.malformed += 1

    def log_in(self, client: Client, connect: Connect) -> None:
        """Check the password, in a thread where scrypt is due; the client's further packets wait meanwhile."""
        client.login = connect
        username, password = connect.username, connect.password
        if username is None or password is None:
            self._answer(client, right=False)
        elif self._credentials.is_known(username, password):
            self._answer(client, right=True)
        else:
            task = self._loop.create_task(self._check(client, username, password), name="endpoint-login")
            self._logins.add(task)
            task.add_done_callback(self._logins.discard)

    async def _check(self, client: Client, username: str, password: bytes) -> None:
        async with self._login_slots:
            right = await asyncio.to_thread(self._credentials.check, username, password)
        self._answer(client, right=right)

    def _answer(self, client: Client, *, right: bool) -> None:
        connect = client.login
        if client.transport is None or connect is None:
            return
        if not right:
            client.login = None
            client.close(packet.BAD_CREDENTIALS)
            return
        given = connect.client_id or f"auto-{uuid.uuid4().hex[:16]}"
        name = f"{connect.username}/{given}"
        self._logged_in[str(connect.username)] += 1
        present = self._take_session(client, connect, name)
        client.routes = by_topic(device for device in self._devices if device.username == connect.username)
        client.connection.accept(connect)
        client.send(
            packet.encode_connack(
                connect.version, 0, session_present=present, receive_maximum=REMEMBERED,
                client_id="" if connect.client_id else given,
            )
        )  # fmt: skip
        client.data_received(b"")  # what came behind the CONNECT

    def _take_session(self, client: Client, connect: Connect, name: str) -> bool:
        """Give the client its session, closing whoever holds it; whether it was known."""
        holder = self._by_session.get(name)
        if holder is not None and holder is not client:
            holder.login = None
            holder.close(packet.TAKEN_OVER)
        self._by_session[name] = client
        client.name = name
        present = name in self._sessions and not connect.clean_start
        if not present:
            if self._sessions.pop(name, None) is not None:
                self._committer.submit(Submission((), session=(name, "", "")))
            self._ingest.new_session(name)
        if connect.is_persistent and connect.client_id:
            client.session = name
            client.filters = self._sessions.setdefault(name, set())
            if not present:
                self._keep_session(client)
        return present

    def _keep_session(self, client: Client) -> None:
        if client.session and client.login is not None:
            row = (client.session, client.login.username or "", json.dumps(sorted(client.filters)))
            self._committer.submit(Submission((), session=row))

    def subscribe(self, client: Client, subscribe: Subscribe) -> None:
        """Grant a device its own command topic at QoS 0, and nothing else."""
        own = {device.command_topic for device, _ in client.routes.values()}
        refused = packet.NOT_AUTHORIZED if client.connection.version == packet.V5 else 0x80
        codes = []
        for name, _qos in subscribe.filters:
            codes.append(0 if name in own else refused)
            if name in own:
                client.filters.add(name)
        client.send(packet.encode_suback(client.connection.version, subscribe.packet_id, codes))
        self._keep_session(client)

    def take(self, client: Client, messages: list[Publish]) -> None:
        """Record what one chunk of bytes brought, as one submission; acknowledged once it is on disk.

        Raises:
            PacketError: a 3.1.1 client published on a topic that is not its own; what came before is recorded.
        """
        rows: list[EntryRow] = []
        delivered: list[DeliveryRow] = []
        acknowledged: list[bytes] = []
        routes, session, take, at_ms = client.routes, client.session, self._ingest.take, self._now_ms()
        is_v5, is_stranger = client.connection.version == packet.V5, False
        for topic, payload, packet_id, dup in messages:
            route = routes.get(topic)
            if route is None:
                if not is_v5:
                    is_stranger = True
                    break
                if packet_id:
                    client.send(packet.encode_puback(packet_id, packet.NOT_AUTHORIZED))
                continue
            number = int.from_bytes(packet_id)
            taken = take(route[0], route[1], payload, number, dup, session, at_ms, rows, delivered)
            if packet_id:
                if is_v5 and taken is Taken.REFUSED:
                    acknowledged.append(packet.encode_puback(packet_id, packet.PAYLOAD_INVALID))
                else:
                    acknowledged.append(b"\x40\x02" + packet_id)
        if acknowledged or rows:
            token = (client, acknowledged)
            self._committer.submit(Submission(rows, delivered=delivered, sink=self, token=token))
        if not self._committer.has_room and client.transport is not None:
            client.transport.pause_reading()
            self._paused.add(client)
        if is_stranger:
            raise PacketError("published on a topic that is not its own", reason=packet.NOT_AUTHORIZED)

    # ---- housekeeping ----

    def _resume(self) -> None:
        for client in self._paused:
            if client.transport is not None and not client.transport.is_closing():
                client.transport.resume_reading()
        self._paused.clear()

    def _close_silent(self) -> None:
        now = self._loop.time()
        for client in list(self._clients):
            if client.connection.expired(now) and client not in self._paused:
                client.close(packet.KEEP_ALIVE_TIMEOUT if client.connection.greeted else 0)

    def _tls(self) -> ssl.SSLContext | None:
        cert, key = self._settings.tls_cert, self._settings.tls_key
        if cert is None or key is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as error:
            raise CollectorError(f"MQTT endpoint: {cert} or {key} cannot be used: {error}; renew them") from error
        return context
