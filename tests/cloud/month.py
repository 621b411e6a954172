"""One site's month for billing tests: three units and a pool, their meters, keys, tariffs, money, boundary entries."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from contracts import p256
from contracts.abi import padded
from contracts.entry import Kind, device_id
from contracts.onchain import origin_id
from contracts.person import Purpose, sign_software
from contracts.quantities import boundary_quantity
from contracts.tariff import Terms
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway

REGISTER = "1-0:1.8.0"
AREAS = (8_930, 11_260, 8_930)
POOL = hashlib.sha256(b"pool common").digest()
UTC_OFFSET = timedelta(hours=8)
FLAT = Terms.tiered(quantity=REGISTER, tiers=[(230_000, 53_800_000), (400_000, 58_800_000), (None, 83_800_000)])
COMMON = Terms.tiered(quantity=REGISTER, tiers=[(None, 55_800_000)], category=1)
# Registers in Wh at opening and closing: unit by unit, then the common meter.
REGISTERS = ((1_000_000, 1_210_000), (500_000, 912_345), (0, 99_999), (7_000_000, 7_654_321))


def urn(number: int) -> str:
    return f"urn:minglou:cuiyuan:b07:meter:{'common' if number == 3 else f'010{number + 1}-abcdefgh'}"


def alias(unit: int) -> bytes:
    return hashlib.sha256(f"unit {unit}".encode()).digest()


def number_of(day: date) -> int:
    return int(day.strftime("%Y%m%d"))


@dataclass
class Month:
    """The month and everybody in it."""

    site: ChainSite
    opening: date
    closing: date
    flat: Terms = FLAT  # by which flats are charged
    gateway: SimulatedGateway = field(default_factory=SimulatedGateway)
    owners: list[p256.PrivateKey] = field(default_factory=lambda: [p256.key_from_secret(7 + unit) for unit in range(3)])

    @property
    def period(self) -> int:
        return number_of(self.opening) * 10**8 + number_of(self.closing)

    @classmethod
    async def prepare(cls, site: ChainSite, flat: Terms = FLAT) -> "Month":
        """Enrol, register, bind, fund, announce tariffs; the chain then stands before the month's opening."""
        now_s = (await site.client.latest()).timestamp
        first = datetime.fromtimestamp(now_s, UTC).date().replace(day=1)
        months = first.year * 12 + first.month - 1 + 3
        opening, closing = (date(at // 12, at % 12 + 1, 1) for at in (months, months + 1))
        month = cls(site=site, opening=opening, closing=closing, flat=flat)
        await month._register()
        await month._announce_tariffs()
        await month._fund()
        return month

    async def _register(self) -> None:
        letters = [hashlib.sha256(f"letter {unit}".encode()).digest() for unit in range(3)]
        digests = [hashlib.sha256(letter).digest() for letter in letters]
        units = [(alias(unit), AREAS[unit], 0, unit, 7, unit + 1) for unit in range(3)]
        await self.site.change(("Roll", "add_units", units), ("Roll", "add_pool", POOL))
        await self.site.send("committee", "Roll", "post_letters", [unit[0] for unit in units], digests)
        operator = self.site.keys["operator"].address
        bindings = [
            (
                "Bindings",
                "bind",
                POOL if number == 3 else alias(number),
                device_id(urn(number)),
                2 if number == 3 else 1,
                number_of(self.opening),
                bytes(31) + bytes([number]),
            )
            for number in range(4)
        ]
        owner_keys = []
        for unit, key in enumerate(self.owners):
            public = p256.public_bytes(key)
            x, y = int.from_bytes(public[:32]), int.from_bytes(public[32:])
            owner_keys.append(("Roll", "add_owner_key", alias(unit), x, y, 2, 0, letters[unit]))
        await self.site.change(("Registry", "set_role", padded("operator"), operator), *bindings, *owner_keys)
        await self.site.enrol(self.gateway, *(device_id(urn(number)) for number in range(4)))
        assert origin_id(self.gateway.origin)

    async def _announce_tariffs(self) -> None:
        for version, terms in enumerate((self.flat, COMMON), 1):
            begins = number_of(self.opening)
            await self.site.send("manager", "Tariffs", "announce", terms.encode(), begins, 0, 0)
            await self.site.send("committee", "Tariffs", "approve", version, 0)

    async def _fund(self) -> None:
        operator, fees = self.site.keys["operator"].address, self.site.deployment.usage_fees
        await self.site.send("cashier", "Token", "mint", operator, 1_000_000)
        await self.site.send("operator", "Token", "approve", fees, 1_000_000)
        await self.site.send("operator", "UsageFees", "post_bond", 200_000)
        for unit in range(3):
            await self.site.send("operator", "UsageFees", "top_up", unit, 100_000)
            signature = self.sign(unit, Purpose.MANDATE, 1, (unit, 60_000))
            await self.site.send("relayer", "UsageFees", "set_mandate", 60_000, signature.abi())

    def sign(self, unit: int, purpose: Purpose, nonce: int, body: tuple[object, ...]):  # type: ignore[no-untyped-def]
        """A person's signature by a unit's owner."""
        return sign_software(
            self.owners[unit],
            chain_id=31337,
            contract=self.site.deployment.challenges
            if purpose is Purpose.CHALLENGE
            else self.site.deployment.usage_fees,
            purpose=purpose,
            nonce=nonce,
            deadline=2**40,
            body_digest=purpose.body_digest(*body),
        )

    def log_boundaries(self) -> None:
        """The month's boundary entries, with ordinary readings between them."""
        for at, day in enumerate((self.opening, self.closing)):
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) - UTC_OFFSET
            for number, registers in enumerate(REGISTERS):
                self.gateway.log(
                    Kind.READING,
                    urn(number),
                    boundary_quantity(REGISTER, day),
                    registers[at],
                    detail={"source": "freeze"},
                    at_ms=int(midnight.timestamp() * 1000),
                )
            self.gateway.log_readings(9, urn=urn(at))

    async def end(self) -> None:
        """Let the chain's time pass the closing midnight."""
        midnight = datetime(self.closing.year, self.closing.month, self.closing.day, tzinfo=UTC) - UTC_OFFSET
        now_s = (await self.site.client.latest()).timestamp
        await self.site.pass_seconds(max(1, int(midnight.timestamp()) - now_s + 60))

    def directory(self, tokens: dict[str, bytes] | None = None) -> str:
        """directory.json as provisioning writes it."""
        origin = self.gateway.origin

        def words(text: str) -> dict[str, str]:
            return {"zh": text, "en": text}

        units = [
            {
                "index": unit,
                "name": f"b07-010{unit + 1}",
                "building": "b07",
                "floor": 1,
                "alias": alias(unit).hex(),
                "area_centi_m2": AREAS[unit],
            }
            for unit in range(3)
        ]
        devices = [
            {
                "urn": urn(number),
                "device": device_id(urn(number)).hex(),
                "kind": "meter",
                "origin": origin,
                "floor": 1,
                "title": words(f"m{number}"),
                "quantity": REGISTER,
                "counts_for": {"pool": POOL.hex()} if number == 3 else {"unit": alias(number).hex()},
                "tariff": "common" if number == 3 else "flat",
                "name": f"m{number}",
            }
            for number in range(4)
        ]
        sign_in = [
            {
                "role": role.partition(":")[0],
                "unit": alias(int(role[-1])).hex() if ":" in role else None,
                "title": words(role),
                "token_sha256": hashlib.sha256(token).hexdigest(),
            }
            for role, token in (tokens or {}).items()
        ]
        return json.dumps(
            {
                "format": "minglou-directory/1",
                "site": {
                    "name": "cuiyuan",
                    "host": "demo.minglou.example",
                    "title": words("翠苑"),
                    "timezone": "Asia/Shanghai",
                    "site_id": "00" * 32,
                },
                "gateways": [{"urn": self.gateway.urn, "origin": origin, "building": "b07"}],
                "units": units,
                "devices": devices,
                "sign_in": sign_in,
                "pools": [
                    {"name": "common", "alias": POOL.hex(), "key": "area", "title": words("公共"), "tariff": "common"}
                ],
                "tariffs": [{"name": "flat", "version": 1}, {"name": "common", "version": 2}],
            }
        )
