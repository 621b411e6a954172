"""What a collector is told of all sites of a process: asked when it is sent, of whichever sites run then."""

from collections.abc import Callable, Iterable, Sequence

from cloud.service import Cloud
from cloud.telemetry import observe

__all__ = ["observe_sites"]


def observe_sites(clouds: Callable[[], Sequence[Cloud]]) -> None:
    """Once for a process: OpenTelemetry takes the first of several gauges of one name, and keeps it to the end."""

    def of_each(read: Callable[[Cloud], float | None]) -> Callable[[], Iterable[tuple[str, float]]]:
        def figures() -> Iterable[tuple[str, float]]:
            for cloud in clouds():
                value = read(cloud)
                if value is not None:
                    yield cloud.settings.site, value

        return figures

    observe("minglou.entries.accepted", "Entries stored by this process", of_each(_accepted))
    observe("minglou.batches.refused", "Batches refused by this process", of_each(_refused))
    observe("minglou.chain.followed_block", "The newest block read", of_each(_followed))


def _accepted(cloud: Cloud) -> float:
    return cloud.ingest.accepted_entries


def _refused(cloud: Cloud) -> float:
    return sum(cloud.ingest.refused.values())


def _followed(cloud: Cloud) -> float | None:
    return None if cloud.chain is None else cloud.chain.follower.followed[0]
