"""Why a flag stands, in sentences of both languages, made of its numbers. They accuse nobody."""

from collections.abc import Callable, Mapping

from cloud.directory import Words
from cloud.integrity.facts import FlagKind

__all__ = ["says"]

Facts = Mapping[str, int]


def says(kind: str, why: str, facts: Facts) -> Words:
    """A flag's reason."""
    zh, en = _SENTENCES[FlagKind(kind), why]
    return Words(zh=zh(facts), en=en(facts))


def _minutes_zh(seconds: int) -> str:
    return f"{seconds} 秒" if seconds < 120 else f"{seconds // 60} 分钟"


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def _far(metres: int) -> str:
    return f"{metres / 1000:.1f} km"


def _missing_zh(f: Facts) -> str:
    return f"维保记录送达 {f['days']} 天后，清单所列 {f['of']} 张照片中仍有 {f['count']} 张没有送来。"


def _missing(f: Facts) -> str:
    return (
        f"{f['days']} days after the visit came, photographs of its list that were not here: {f['count']} of {f['of']}."
    )


_SENTENCES: Mapping[tuple[FlagKind, str], tuple[Callable[[Facts], str], Callable[[Facts], str]]] = {
    (FlagKind.TRAVEL, "too-fast"): (
        lambda f: (
            f"同一名维保人员在另一处签到，两地至少相距 {_far(f['metres'])}，中间只有 {_minutes_zh(f['seconds'])}。"
        ),
        lambda f: (
            f"One mechanic signed at another place too, at least {_far(f['metres'])} away, "
            f"with {_minutes(f['seconds'])} between."
        ),
    ),
    (FlagKind.TWICE, "one-person"): (
        lambda f: f"同一名维保人员在另一台设备的记录与本次重叠 {_minutes_zh(f['seconds'])}。",
        lambda f: f"One mechanic's visit to another device overlaps this one by {_minutes(f['seconds'])}.",
    ),
    (FlagKind.TWICE, "one-machine"): (
        lambda _: "另一条记录与本次使用了同一台设备同一时段的工作，其中只有一条可能由它证明。",
        lambda _: "Another visit claims work of this machine at the same time; it can show only one of the two.",
    ),
    (FlagKind.DWELL, "short-stay"): (
        lambda f: f"两次扫码相隔 {_minutes_zh(f['seconds'])}，这类维保至少需要 {_minutes_zh(f['least'])}。",
        lambda f: (
            f"{_minutes(f['seconds'])} lie between the scans; this kind of visit takes {_minutes(f['least'])} or more."
        ),
    ),
    (FlagKind.DWELL, "short-work"): (
        lambda f: f"设备处于检修状态只有 {_minutes_zh(f['seconds'])}，记录的维保时间为 {_minutes_zh(f['claimed'])}。",
        lambda f: (
            f"The machine was on inspection for {_minutes(f['seconds'])} only; the visit is said to have taken "
            f"{_minutes(f['claimed'])}."
        ),
    ),
    (FlagKind.PHOTO, "copy"): (
        lambda f: f"有 {f['count']} 张照片与另一次维保的照片几乎相同。",
        lambda f: f"Photographs nearly the same as another visit's: {f['count']}.",
    ),
    (FlagKind.PHOTO, "alike"): (
        lambda f: f"按手机给出的指纹，有 {f['count']} 张照片与另一次维保的几乎相同；照片本身尚未上传。",
        lambda f: (
            f"By what its phone says, photographs nearly the same as another visit's: {f['count']}. "
            "The photographs themselves are not here yet."
        ),
    ),
    (FlagKind.PHOTO, "other-time"): (
        lambda f: f"{f['of']} 张照片中有 {f['count']} 张不是在本次维保期间拍摄的。",
        lambda f: f"Of {f['of']} photographs, not taken during the visit: {f['count']}.",
    ),
    (FlagKind.PHOTO, "not-asked-ones"): (
        lambda _: "随机抽中的项目缺少现场照片。",
        lambda _: "An item picked at random lacks its fresh photograph.",
    ),
    (FlagKind.PHOTO, "missing"): (_missing_zh, _missing),
    (FlagKind.PHOTO, "still-missing"): (_missing_zh, _missing),
    (FlagKind.PHONE, "copied"): (
        lambda f: f"同一部手机的第 {f['number']} 次签名出现在两条不同的记录上：手机数据可能被复制。",
        lambda f: (
            f"Two different visits are each the phone's signature number {f['number']}: "
            "its memory may have been copied."
        ),
    ),
    (FlagKind.PHONE, "one-for-two"): (
        lambda f: f"两名维保人员用同一部手机签名；{f['days']} 天内第 {f['times']} 次。",
        lambda f: f"Two mechanics signed on one phone; within {f['days']} days this is time {f['times']}.",
    ),
    (FlagKind.LIST, "left-away"): (
        lambda f: f"清单共 {f['of']} 项，其中 {f['count']} 项记为没有或有故障。",
        lambda f: f"Of the list's {f['of']} items, {f['count']} are called absent or faulty.",
    ),
    (FlagKind.TWICE, "one-work"): (
        lambda _: "同一名维保人员用同一台设备的同一段工作签了两条记录。",
        lambda _: "One mechanic signed two visits over the same work of this machine.",
    ),
    (FlagKind.CODE, "used-before"): (
        lambda f: f"另一次维保已出示过同样的现场动态码（{f['count']} 个）。",
        lambda f: f"Codes of the display that another visit had shown too: {f['count']}.",
    ),
    (FlagKind.CODE, "other-time"): (
        lambda f: f"现场动态码的时间与维保时间相差 {_minutes_zh(f['seconds'])}。",
        lambda f: f"A code of the display lies {_minutes(f['seconds'])} from the visit's time.",
    ),
    (FlagKind.CODE, "wrong"): (
        lambda f: f"出示了 {f['count']} 个不属于现场显示屏的动态码。",
        lambda f: f"Codes that are none of the display's: {f['count']}.",
    ),
    (FlagKind.CODE, "not-its-label"): (
        lambda f: f"扫到的标签有 {f['count']} 张属于另一台设备。",
        lambda f: f"Labels scanned that belong to another device: {f['count']}.",
    ),
    (FlagKind.CODE, "withdrawn-label"): (
        lambda f: f"扫到的标签有 {f['count']} 张在扫码之前已被撤销。",
        lambda f: f"Labels scanned after they were withdrawn: {f['count']}.",
    ),
    (FlagKind.CODE, "unknown-label"): (
        lambda f: f"扫到的标签有 {f['count']} 张不属于这里的任何设备。",
        lambda f: f"Labels scanned that belong to no device here: {f['count']}.",
    ),
    (FlagKind.CODE, "not-there"): (
        lambda f: f"{f['of']} 名维保人员签名，其中 {f['count']} 名没有出示现场动态码，而显示屏当时正常。",
        lambda f: (
            f"Of {f['of']} mechanics who signed, {f['count']} showed no code of the display, which was on all the time."
        ),
    ),
}
