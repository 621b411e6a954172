"""Which contract of the site's deployment crews sign their visits for."""

from __future__ import annotations

import json

from provisioning.errors import ProvisioningError
from provisioning.settings.places import Places

__all__ = ["maintenance_contract"]

# The Registry stands in where a deployment holds no contract of service agreements.
_CONTRACTS = ("service_agreements", "registry")


def maintenance_contract(places: Places) -> str | None:
    """Its address, 0x… in lower case; None while nothing is deployed, when no visit can be signed.

    Raises:
        ProvisioningError: the deployment file is damaged.
    """
    path = places.deployment_file
    try:
        deployed = json.loads(path.read_text())["contracts"]
        return str(deployed[next(name for name in _CONTRACTS if deployed.get(name))]).lower()
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise ProvisioningError(
            f"{path}: names none of {', '.join(_CONTRACTS)} ({error!r}); write it with `minglou chain deploy`"
        ) from error
