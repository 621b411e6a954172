"""No service is cut off to collect a fee: the refusal is named, and no contract has such an action."""

import pytest

from contracts.service import CutOffRefusedError, refuse_cut_off
from contracts.vyper.compile import CONTRACTS, artifact


def test_cutting_a_service_off_is_refused_with_the_article() -> None:
    with pytest.raises(CutOffRefusedError, match="article 944") as refused:
        refuse_cut_off("power")
    assert refused.value.code == "civil_code_944"


@pytest.mark.parametrize("contract", CONTRACTS)
def test_no_contract_has_an_action_that_stops_a_service(contract: str) -> None:
    for item in artifact(contract).abi:
        name = str(item.get("name", ""))
        assert not any(word in name for word in ("cut_off", "disconnect", "suspend", "lock_out")), f"{contract}.{name}"
