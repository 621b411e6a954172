"""The settings files that provisioning writes and other rooms read; their keys are those rooms' public names."""

from provisioning.settings.broker import mosquitto_files, nats_file
from provisioning.settings.building import VisitTimes, building_file
from provisioning.settings.cloud import cloud_file, directory_file, operator_file
from provisioning.settings.gateway import cards_path, credentials_file, gateway_file, knows_cards
from provisioning.settings.maintenance import maintenance_contract
from provisioning.settings.mirror import NamedCopy, mirror_file
from provisioning.settings.places import Places, Ports, clock_section

__all__ = [
    "NamedCopy",
    "Places",
    "Ports",
    "VisitTimes",
    "building_file",
    "cards_path",
    "clock_section",
    "cloud_file",
    "credentials_file",
    "directory_file",
    "gateway_file",
    "knows_cards",
    "maintenance_contract",
    "mirror_file",
    "mosquitto_files",
    "nats_file",
    "operator_file",
]
