"""Which contract of the site's deployment crews sign their visits for."""

from __future__ import annotations

import json

from provisioning.errors import ProvisioningError
from provisioning.settings.places import Places

__all__ = ["maintenance_contract"]

# The Registry stands in until the deployment holds the contract of service agreements.
_CONTRACT = "registry"


def maintenance_contract(places: Places) -> str | None:
    """Its address, 0x… in lower case; None while nothing is deployed, when no visit can be signed.

    Raises:
        ProvisioningError: the deployment file is damaged.
    """
    path = places.deployment_file
    try:
        return str(json.loads(path.read_text())["contracts"][_CONTRACT]).lower()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProvisioningError(
            f"{path}: names no {_CONTRACT} ({error!r}); write it with `minglou chain deploy`"
        ) from error
