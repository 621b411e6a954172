"""What parties try with public batches: to speak for a signer, to act after they left, to wait until nobody looks."""

import pytest

from contracts.abi import Call
from contracts.calls import bindings, bindings_changes, crews, crews_changes, registry, roll, roll_changes
from contracts.calls import registry_changes as changes
from contracts.calls.bindings import Swap
from contracts.person import Purpose
from contracts.vyper.compile import artifact
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import (
    DAY,
    INSTALLER,
    INSTALLER_KEY,
    METERS,
    OWNER_KEYS,
    PRECOMPILE,
    SPARE_METER,
    UNITS,
    Site,
    announced,
    coordinates,
    key_id,
    key_of,
    name,
)

GHOST = key_of(666)


def swap_of() -> Swap:
    return Swap(
        subject=UNITS[0],
        old_device=METERS[0],
        new_device=SPARE_METER,
        date=20261101,
        closing=name("closing"),
        opening=name("opening"),
    )


def signers_own(site: Site) -> dict[str, tuple[Call, str]]:
    """Inner functions that stand for a person's signature, as manager and committee would call them without one."""
    x, y = coordinates(GHOST)
    fields = {"x": x, "y": y, "kind": 2, "relying_party": 0}
    swap = swap_of()
    return {
        "a key with the place of an owner's on a frozen roll": (
            roll_changes.replace_owner_key(site.roll, unit=UNITS[0], old_key_id=key_id(OWNER_KEYS[0]), **fields),
            "roll: only the replaced key's own signature does this",
        ),
        "a mechanic's next key": (
            crews_changes.replace_crew_key(site.crews, alias=INSTALLER, old_key_id=key_id(INSTALLER_KEY), **fields),
            "crews: only the replaced key's own signature does this",
        ),
        "a swap that installer and owner signed": (
            bindings_changes.swap_devices(site.bindings, swap=swap, installer=name("nobody"), confirmed=1),
            "bindings: only a swap's own signatures do this",
        ),
    }


def test_two_parties_never_speak_for_a_signer(site: Site) -> None:
    """A key that replaces another keeps its place on a frozen roll: two parties could put ghosts there."""
    for what, (call, reason) in signers_own(site).items():
        snapshot = site.chain.snapshot()
        with refused(reason):
            site.enact(call)
        site.chain.revert_to(snapshot)
        assert what


def rotate_call(site: Site, *, nonce: int = 1) -> tuple[Call, Call]:
    x, y = coordinates(key_of(90))
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.roll, nonce=nonce)
    fields = {"x": x, "y": y, "kind": 2, "relying_party": 0}
    inner = roll_changes.replace_owner_key(site.roll, unit=UNITS[0], old_key_id=key_id(OWNER_KEYS[0]), **fields)
    return roll.rotate_owner_key(site.roll, signature=signature, **fields), inner


def test_a_vetoed_rotation_is_not_announced_again_with_the_same_signature(site: Site) -> None:
    """Otherwise whoever relays wears the owner out: a new batch for every veto, until the signature's deadline."""
    call, inner = rotate_call(site)
    number = announced(site.chain.send(site.relayer, call))
    veto = site.sign(0, Purpose.VETO, number, 0, contract=site.registry)
    site.chain.send(
        site.relayer,
        registry.veto_signed(site.registry, number=number, calls=[inner], call_index=0, signature=veto),
    )
    with refused("once: signature was used"):
        site.chain.send(site.relayer, call)
    site.chain.send(site.relayer, rotate_call(site, nonce=2)[0])


def test_a_crew_members_signature_and_a_swaps_announce_once(site: Site) -> None:
    x, y = coordinates(key_of(91))
    fields = {"x": x, "y": y, "kind": 2, "relying_party": 0}
    signature = site.sign(0, Purpose.ROTATE_KEY, x, y, 2, 0, contract=site.crews, key=INSTALLER_KEY)
    swap = swap_of()
    installer, owner = (
        site.sign(0, Purpose.SWAP_METER, *swap.abi(), contract=site.bindings, key=key)
        for key in (INSTALLER_KEY, OWNER_KEYS[0])
    )
    for call, reason in (
        (crews.rotate_crew_key(site.crews, signature=signature, **fields), "once: signature was used"),
        (
            bindings.swap_signed(site.bindings, swap=swap, installer=installer, owner=owner),
            "once: signature was used",
        ),
    ):
        site.chain.send(site.relayer, call)
        with refused(reason):
            site.chain.send(site.relayer, call)


def test_a_hand_over_ends_with_the_manager_who_began_it(site: Site) -> None:
    """A captured manager, replaced after 30 days, would come back by what he announced on the 29th."""
    friend = "0x" + "66" * 20
    replaced = announced(site.chain.send(site.committee, registry.succeed_manager(site.registry, new=site.stranger)))
    site.chain.wait(29 * DAY)
    back = announced(site.chain.send(site.manager, registry.succeed_manager(site.registry, new=friend)))
    site.chain.wait(DAY)
    site.enact_batch(replaced, changes.set_manager(site.registry, manager=site.stranger))
    site.chain.wait(7 * DAY)
    with refused("registry: who announced the batch has left office"):
        site.enact_batch(back, changes.set_manager(site.registry, manager=friend))
    # What the new manager announces himself goes its way.
    number = announced(site.chain.send(site.stranger, registry.succeed_manager(site.registry, new=friend)))
    site.chain.wait(7 * DAY)
    site.enact_batch(number, changes.set_manager(site.registry, manager=friend))


def test_the_committee_approves_nothing_that_a_former_manager_announced(site: Site) -> None:
    ghost = site.gateway_change("a.b/c/d/e0", GHOST)
    number = site.announce(ghost)
    handed = announced(site.chain.send(site.manager, registry.succeed_manager(site.registry, new=site.stranger)))
    site.chain.wait(7 * DAY)
    site.enact_batch(handed, changes.set_manager(site.registry, manager=site.stranger))
    with refused("registry: who announced the batch has left office"):
        site.chain.send(site.committee, registry.approve(site.registry, number=number))
    # What both approved before goes on: a hand-over stops no enrolment.
    again = site.announce(ghost, by=site.stranger)
    site.chain.send(site.committee, registry.approve(site.registry, number=again))
    onward = announced(site.chain.send(site.stranger, registry.succeed_manager(site.registry, new=site.manager)))
    site.chain.wait(7 * DAY)
    site.enact_batch(onward, changes.set_manager(site.registry, manager=site.manager))
    site.enact_batch(again, ghost)


def test_a_batch_that_nobody_enacts_lapses(site: Site) -> None:
    """Approved and forgotten, it would lie there loaded for years, for anyone to enact when nobody looks."""
    change = site.gateway_change("a.b/c/d/e0", GHOST)
    kept, late = site.approved(change), site.approved(site.gateway_change("a.b/c/d/e1", key_of(667)))
    site.chain.wait(7 * DAY + 30 * DAY - 10)
    site.enact_batch(kept, change)
    site.chain.wait(30)
    with refused("registry: batch has lapsed"):
        site.enact_batch(late, site.gateway_change("a.b/c/d/e1", key_of(667)))


@pytest.mark.parametrize("origin", ["", "a.b/c/d/e0\n5\n", "a.b/c/D/e0", "a.b/c/d é/e0"])
def test_an_origin_that_would_give_a_checkpoint_a_second_reading_is_refused(site: Site, origin: str) -> None:
    with refused("registry: origin has other characters than a checkpoint's"):
        site.enact(site.gateway_change(origin, GHOST))


@pytest.mark.parametrize("delays", [(2**32, 30 * DAY), (7 * DAY, 2**32)])
def test_delays_beyond_all_measure_are_refused(site: Site, delays: tuple[int, int]) -> None:
    creation = registry.deploy(
        artifact("Registry").bytecode,
        site=name("site"),
        manager=site.manager,
        committee=site.committee,
        witness_delay=delays[0],
        recovery_delay=delays[1],
        verifier=PRECOMPILE,
        contracts={},
    )
    with refused("registry: delay is out of range"):
        site.chain.deploy(site.deployer, creation)
