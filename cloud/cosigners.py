"""Which witnesses watch the super-log, and how many of them must cosign a head before it is anchored."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.errors import SettingsError
from cloud.toml_table import Table
from contracts.errors import NoteError
from contracts.note import COSIGNATURE_V1, VerifierKey, format_vkey, parse_vkey
from contracts.superlog import Witness, WitnessPolicy
from contracts.trust import Trust

__all__ = ["Cosigner", "Cosigners", "check_same_policy", "policy_of", "read_cosigners"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """One configured witness."""

    key: VerifierKey
    url: str  # its submission prefix, without a slash at the end

    @property
    def vkey(self) -> str:
        return format_vkey(self.key)

    @property
    def policy(self) -> WitnessPolicy:
        """The policy that asks for this witness alone."""
        return WitnessPolicy(quorum=1, witnesses=(Witness(name=self.key.name, public=self.key.public),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigners:
    """The witness policy of one cloud: `quorum` of `each` must have cosigned a head before it is anchored."""

    quorum: int = 0
    each: tuple[Cosigner, ...] = ()
    retry_seconds: float = 5.0  # real, after a witness did not cosign
    timeout_seconds: float = 10.0

    @property
    def policy(self) -> WitnessPolicy:
        """The same as verifiers read it from `trust.json`."""
        witnesses = tuple(Witness(name=one.key.name, public=one.key.public) for one in self.each)
        return WitnessPolicy(quorum=self.quorum, witnesses=witnesses)


def read_cosigners(witnesses: Sequence[Table], super_log: Table) -> Cosigners:
    """The policy in the settings: `[[witness]]` with vkey and url, and three keys of `[super_log]`.

    Raises:
        SettingsError: a vkey or URL is none, two share a key, or the quorum can never be met.
    """
    each = tuple(_cosigner(table) for table in witnesses)
    quorum = super_log.take("witness_quorum", int) if each else super_log.take("witness_quorum", int, 0)
    if not 0 <= quorum <= len(each):
        raise SettingsError(
            f"[super_log] witness_quorum {quorum} of {len(each)} witnesses can never be met; correct it"
        )
    if len({one.key.public for one in each}) != len(each):
        raise SettingsError("two [[witness]] share one key; each party must run its own")
    return Cosigners(
        quorum=quorum,
        each=each,
        retry_seconds=super_log.take("witness_retry_seconds", float, 5.0),
        timeout_seconds=super_log.take("witness_timeout_seconds", float, 10.0),
    )


def policy_of(vkeys: Sequence[str], quorum: int) -> WitnessPolicy:
    """The policy that asks for `quorum` of these witnesses. Raises `SettingsError`."""
    try:
        keys = [parse_vkey(vkey, signature_type=COSIGNATURE_V1) for vkey in vkeys]
    except NoteError as error:
        raise SettingsError(f"--witness {error}; `minglou witness vkey` prints it") from error
    if not 0 <= quorum <= len({key.public for key in keys}):
        raise SettingsError(f"--quorum {quorum} of {len(keys)} witnesses can never be met")
    return WitnessPolicy(quorum=quorum, witnesses=tuple(Witness(name=key.name, public=key.public) for key in keys))


def check_same_policy(cosigners: Cosigners, trust: Trust) -> None:
    """Refuse to run under another policy than verifiers are told of.

    Raises:
        SettingsError: the trust file names other witnesses or another quorum.
    """
    ours, theirs = cosigners.policy, trust.witness_policy
    if (ours.quorum, set(ours.witnesses)) != (theirs.quorum, set(theirs.witnesses)):
        raise SettingsError(
            f"the settings ask for {_policy_text(ours)}, the trust file for {_policy_text(theirs)}; what is anchored "
            "under one would be refused under the other: make [[witness]] and trust.json say the same"
        )


def _cosigner(table: Table) -> Cosigner:
    url = str(table.take("url", str)).rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"[[witness]] url {url!r} must begin with https:// or http://")
    try:
        key = parse_vkey(table.take("vkey", str), signature_type=COSIGNATURE_V1)
    except NoteError as error:
        raise SettingsError(f"[[witness]] {error}; `minglou witness vkey` prints it") from error
    table.done()
    return Cosigner(key=key, url=url)


def _policy_text(policy: WitnessPolicy) -> str:
    return f"{policy.quorum} of {', '.join(sorted(one.name for one in policy.witnesses)) or 'no witnesses'}"
