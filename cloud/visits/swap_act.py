"""The act that carries a swap to Bindings. Imported with the chain's libraries: it needs the contract's ABI."""

from cloud.chain.directory import abi_of
from contracts.act_file import act_of_call, format_act
from contracts.calls.bindings import swap_signed
from contracts.meter_swap import SignedMeterSwap
from contracts.person import PersonSignature

__all__ = ["swap_act"]


def swap_act(signed: SignedMeterSwap, owner: PersonSignature) -> bytes:
    """The `minglou-act/1` of a swap that both signed."""
    file = signed.file
    call = swap_signed(file.contract, swap=file.swap(), installer=signed.installer.signature, owner=owner)
    abi = abi_of("Bindings")
    act = act_of_call(call, chain_id=file.chain_id, contract="Bindings", function="swap_signed", abi=abi)
    return format_act(act, abi)
