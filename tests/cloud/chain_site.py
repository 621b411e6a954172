"""A site's contracts on a real anvil, with all its parties' keys, for tests of the cloud's chain side."""

from dataclasses import dataclass, field
from typing import Any

import httpx
from eth_account import Account

from cloud.chain.client import ChainClient, SigningKey
from cloud.chain.deploy import P256_PRECOMPILE, DeployOptions, deploy, wait_for_receipt
from cloud.chain.deployment import CONTRACTS, Deployment
from contracts import ed25519
from contracts.abi import Call
from contracts.onchain import origin_id
from tests.cloud.abi import contract_abi
from tests.cloud.gateway import SimulatedGateway
from tests.plain_http import NO_TLS

SUPER_ORIGIN = "demo.minglou.example/log"
SUPER_KEY = ed25519.key_from_seed(bytes(31) + b"\x07")
# anvil's published development mnemonic: worthless anywhere else.
MNEMONIC = "test test test test test test test test test test test junk"
ROLES = ("deployer", "manager", "committee", "operator", "relayer", "cashier", "second relayer")
WITNESS_DELAY = 7 * 86_400
TARIFF_DELAY = 30 * 86_400


def secret_of(role: str) -> str:
    Account.enable_unaudited_hdwallet_features()
    path = f"m/44'/60'/0'/0/{ROLES.index(role)}"
    return "0x" + bytes(Account.from_mnemonic(MNEMONIC, account_path=path).key).hex()


def account(role: str) -> SigningKey:
    return SigningKey(secret_of(role))


@dataclass
class ChainSite:
    """Contracts, and the ways their parties move them."""

    url: str
    client: ChainClient
    deployment: Deployment
    relayer: str = "relayer"  # two sites on one chain have two
    keys: dict[str, SigningKey] = field(default_factory=lambda: {role: account(role) for role in ROLES})

    @classmethod
    async def deploy(
        cls,
        url: str,
        *,
        challenge_window: int = 600,
        answer_window: int = 600,
        verifier: str = P256_PRECOMPILE,
        relayer: str = "relayer",
        super_log: tuple[str, ed25519.PrivateKey] = (SUPER_ORIGIN, SUPER_KEY),
    ) -> "ChainSite":
        client = ChainClient([url])
        options = DeployOptions(
            site=bytes(31) + b"\x01",
            token_name="Demo yuan",
            token_symbol="DCNY",
            minter=account("cashier").address,
            manager=account("manager").address,
            committee=account("committee").address,
            relayer=account(relayer).address,
            witness_delay=WITNESS_DELAY,
            recovery_delay=TARIFF_DELAY,
            tariff_delay=TARIFF_DELAY,
            challenge_window=challenge_window,
            answer_window=answer_window,
            bond_floor=100_000,
            deposit=100,
            utc_offset_seconds=8 * 3600,
            super_log_origin=super_log[0],
            super_log_public=ed25519.public_bytes(super_log[1]),
            verifier=verifier,
        )
        return cls(url, client, await deploy(client, account("deployer"), options), relayer)

    async def rpc(self, method: str, *params: Any) -> Any:
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS) as http:
            answer = (
                await http.post(self.url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
            ).json()
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    async def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            await self.rpc("evm_mine")

    async def pass_seconds(self, seconds: int) -> None:
        await self.rpc("evm_increaseTime", seconds)
        await self.mine()

    async def send(self, role: str, contract: str, function: str, *arguments: Any) -> None:
        """One transaction by one party, mined."""
        data = contract_abi(contract).call(function, *arguments)
        await self._transact(role, self.address(contract), data, f"{contract}.{function}")

    async def send_call(self, role: str, call: Call) -> None:
        """The same, as `contracts.calls` makes it."""
        await self._transact(role, call.to, call.data, f"call of {call.to}")

    async def _transact(self, role: str, address: str, data: bytes, what: str) -> None:
        key = self.keys[role]
        gas = await self.client.estimate_gas(address, data, sender=key.address)
        raw, transaction_hash = key.sign(
            {
                "type": 2,
                "chainId": 31337,
                "nonce": await self.client.nonce(key.address),
                "to": key_checksum(address),
                "value": 0,
                "data": "0x" + data.hex(),
                "gas": gas + 100_000,
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 10**9,
            }
        )
        refusals = await self.client.broadcast(raw)
        receipt = await wait_for_receipt(self.client, transaction_hash, what=what, refusals=refusals)
        assert receipt.succeeded, f"{what} reverted"

    async def view(self, contract: str, function: str, *arguments: Any) -> Any:
        abi = contract_abi(contract)
        address = self.address(contract)
        return abi.answer(function, await self.client.call(address, abi.call(function, *arguments)))

    def address(self, contract: str) -> str:
        """Where a contract is, by its source's name."""
        return next(address for address, name in self.deployment.addresses.items() if CONTRACTS[name] == contract)

    async def change(self, *calls: tuple[Any, ...]) -> None:
        """A two-party change, each call of contract, inner function and arguments; its delay waited for and enacted."""
        await self.change_by_calls(
            *(
                Call(to=self.address(contract), data=contract_abi(contract).call(function, *arguments))
                for contract, function, *arguments in calls
            )
        )

    async def change_by_calls(self, *calls: Call) -> None:
        """The same of calls as `contracts.calls` makes them."""
        inner = [(call.to, call.data) for call in calls]
        await self.send("manager", "Registry", "announce", inner)
        number = await self.view("Registry", "batch_count") - 1
        await self.send("committee", "Registry", "approve", number)
        await self.pass_seconds(WITNESS_DELAY + 1)
        await self.send("manager", "Registry", "enact", number, inner)

    async def enrol(self, gateway: SimulatedGateway, *devices: bytes) -> None:
        x, y = int.from_bytes(gateway.public[:32]), int.from_bytes(gateway.public[32:])
        calls: list[tuple[Any, ...]] = [("Registry", "set_gateway_key", gateway.origin, x, y, 1, 7)]
        if devices:
            calls.append(("Registry", "assign_devices", origin_id(gateway.origin), 0, list(devices)))
        await self.change(*calls)

    async def close(self) -> None:
        await self.client.close()


def key_checksum(address: str) -> str:
    from eth_utils.address import to_checksum_address

    return str(to_checksum_address(address))
