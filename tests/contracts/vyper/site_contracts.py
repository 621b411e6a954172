"""Which contracts the tests' site has, with which terms, and where they will be before they are there."""

from dataclasses import dataclass
from hashlib import sha256

from eth_utils.crypto import keccak

from contracts.calls import (
    anchor_log,
    assembly,
    ballots,
    bindings,
    challenges,
    charges,
    counterevidence,
    crews,
    registry,
    resolutions,
    roll,
    tariffs,
    token,
    usage_fees,
)

DAY = 86400
OFFSET = 8 * 3600
PRECOMPILE = "0x0000000000000000000000000000000000000100"
SITE = sha256(b"cuiyuan").digest()
SUPER_LOG = sha256(b"minglou.example/log\n\x01" + bytes(32)).digest()
BOND_FLOOR = 1_000_000
DEPOSIT = 500
WINDOW = 7 * DAY
NOTICE, VOTING, SHOWN_FOR = 15 * DAY, 7 * DAY, 3 * DAY
PROXIES_MAX = 2
# In the order of their deployment: attribute of `Site`, which is the name in the Registry's directory, and source.
CONTRACTS = {
    "registry": "Registry",
    "roll": "Roll",
    "crews": "Crews",
    "bindings": "Bindings",
    "token": "Token",
    "anchor_log": "AnchorLog",
    "tariffs": "Tariffs",
    "charges": "Charges",
    "usage_fees": "UsageFees",
    "challenges": "Challenges",
    "counterevidence": "Counterevidence",
}


@dataclass(frozen=True, kw_only=True)
class Parties:
    """The accounts that constructors name."""

    deployer: str
    manager: str
    committee: str
    relayer: str


def creation(contract: str, code: bytes, at: dict[str, str], parties: Parties) -> bytes:
    """Creation data of one contract, given where all of them will be."""
    match contract:
        case "registry":
            return registry.deploy(
                code,
                site=SITE,
                manager=parties.manager,
                committee=parties.committee,
                witness_delay=7 * DAY,
                recovery_delay=30 * DAY,
                verifier=PRECOMPILE,
                contracts={one: address for one, address in at.items() if one != "registry"},
            )
        case "roll":
            return roll.deploy(code, registry=at["registry"], verifier=PRECOMPILE)
        case "crews":
            return crews.deploy(code, registry=at["registry"], verifier=PRECOMPILE)
        case "bindings":
            return bindings.deploy(code, registry=at["registry"], verifier=PRECOMPILE)
        case "token":
            return token.deploy(code, name="Test yuan", symbol="TCNY", minter=parties.deployer)
        case "anchor_log":
            return anchor_log.deploy(
                code, registry=at["registry"], relayer=parties.relayer, super_log=SUPER_LOG, verifier=PRECOMPILE
            )
        case "tariffs":
            return tariffs.deploy(code, registry=at["registry"], utc_offset_seconds=OFFSET, tariff_delay=30 * DAY)
        case "charges":
            return charges.deploy(code, registry=at["registry"])
        case "usage_fees":
            return usage_fees.deploy(
                code,
                registry=at["registry"],
                challenge_window=WINDOW,
                answer_window=WINDOW,
                bond_floor=BOND_FLOOR,
                deposit=DEPOSIT,
                verifier=PRECOMPILE,
            )
        case "challenges":
            return challenges.deploy(code, registry=at["registry"], verifier=PRECOMPILE)
        case "counterevidence":
            return counterevidence.deploy(code, registry=at["registry"], utc_offset_seconds=OFFSET, verifier=PRECOMPILE)
        case "resolutions":
            return resolutions.deploy(
                code,
                registry=at["registry"],
                notice_seconds=NOTICE,
                voting_seconds=VOTING,
                window_seconds=SHOWN_FOR,
                verifier=PRECOMPILE,
            )
        case "ballots":
            return ballots.deploy(code, registry=at["registry"], proxies_max=PROXIES_MAX, verifier=PRECOMPILE)
        case "assembly":
            return assembly.deploy(code, registry=at["registry"])
    raise AssertionError(f"no creation for {contract}")


def created_address(sender: str, nonce: int) -> str:
    """The address of the contract that this transaction creates: Keccak-256 over the RLP list of sender and nonce."""
    counted = nonce.to_bytes((nonce.bit_length() + 7) // 8)
    counted = counted if 0 < nonce < 128 else bytes([128 + len(counted)]) + counted
    payload = b"\x94" + bytes.fromhex(sender[2:]) + counted
    return "0x" + keccak(bytes([192 + len(payload)]) + payload)[12:].hex()
