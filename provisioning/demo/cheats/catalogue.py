"""The nine cheats that the demo's page offers."""

from __future__ import annotations

from provisioning.demo.cheats.bill import alter_a_bill
from provisioning.demo.cheats.checkpoint import forge_a_checkpoint
from provisioning.demo.cheats.database import change_a_reading, drop_a_reading
from provisioning.demo.cheats.gateway_log import restore_old_log
from provisioning.demo.cheats.report import Cheat
from provisioning.demo.cheats.scene import Scene
from provisioning.demo.cheats.super_log import rewrite_the_super_log
from provisioning.demo.cheats.visits import be_in_two_places, copy_a_photo, sign_without_going
from provisioning.site import Title

__all__ = ["cheats_of"]


def cheats_of(scene: Scene) -> tuple[Cheat, ...]:
    """The cheats, each bound to one demo."""
    return (
        Cheat(
            name="change",
            title=Title(zh="改一个读数（云端数据库）", en="Change a reading in the cloud's database"),
            run=lambda: change_a_reading(scene),
        ),
        Cheat(name="drop", title=Title(zh="删一个读数", en="Drop a reading"), run=lambda: drop_a_reading(scene)),
        Cheat(
            name="restore",
            title=Title(zh="给网关换回旧日志", en="Restore an old log of the gateway"),
            run=lambda: restore_old_log(scene),
        ),
        Cheat(
            name="forge",
            title=Title(zh="伪造一个检查点", en="Forge a checkpoint"),
            run=lambda: forge_a_checkpoint(scene),
        ),
        Cheat(name="bill", title=Title(zh="改一张账单", en="Alter a bill"), run=lambda: alter_a_bill(scene)),
        Cheat(
            name="rewrite",
            title=Title(zh="改写总日志，找见证人帮忙", en="Rewrite the super-log, with a witness's help"),
            run=lambda: rewrite_the_super_log(scene),
        ),
        Cheat(
            name="unmade_visit",
            title=Title(zh="维保没去也签名", en="Sign without going"),
            run=lambda: sign_without_going(scene),
        ),
        Cheat(
            name="copied_photo",
            title=Title(zh="旧照片充新照片", en="Copy a photo"),
            run=lambda: copy_a_photo(scene),
        ),
        Cheat(
            name="two_places",
            title=Title(zh="一人同时在两处", en="Be in two places"),
            run=lambda: be_in_two_places(scene),
        ),
    )
