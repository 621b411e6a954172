"""What a bill line rests on, as data, and the same object said in Chinese and in English.

The data is JSON: decimal strings for numbers, dates as 2026-11-30, `spans` and `estimates` with the signed entries by
log and index. A sentence says nothing that does not stand in the data, and works nothing out but units and decimals.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from cloud.billing.usage import date_text
from contracts.bill import Line
from contracts.quantities import unit_of
from contracts.tariff import Season

__all__ = ["Derivation", "Language", "describe", "metered_steps", "sentence"]

Derivation = Mapping[str, Any]
Language = str  # "zh" or "en"

_FEN = Decimal(100)
_CUBIC_METRES = {"zh": "立方米", "en": "m³"}
_SHOWN = {
    "Wh": (Decimal(1000), {"zh": "千瓦时", "en": "kWh"}),
    "mL": (Decimal(10**6), _CUBIC_METRES),
    "L": (Decimal(1000), _CUBIC_METRES),
}
_NANOFEN = Decimal(10**9)


def describe(line: Line, **parts: Any) -> dict[str, Any]:
    """A derivation: the line's own fields, and what it was made from."""
    return {
        "kind": line.kind.name.lower(),
        "quantity": line.quantity,
        "from": date_text(line.from_date),
        "to": date_text(line.to_date),
        "amount": str(line.amount),
        **parts,
    }


def metered_steps(season: Season, *, used: Sequence[int], prior: int, residents: int) -> list[dict[str, str]]:
    """What each step of the tariff took of a usage, with its price where one register has one."""
    total = sum(used)
    widened = season.extra * max(0, residents - season.persons)
    edges: list[int | None] = [0, *(bound + widened for bound in season.bounds), None]
    steps = []
    for number, (below, upper) in enumerate(pairwise(edges)):
        assert below is not None
        ends = prior + total if upper is None else min(upper, prior + total)
        taken = max(0, ends - max(below, prior))
        if taken or (number == 0 and total == 0):
            prices = {"price": str(season.price(number))} if len(used) == 1 else {}
            steps.append({"step": str(number + 1), "used": str(taken), **prices})
    return steps


def sentence(derivation: Derivation, language: Language) -> str:
    """The derivation in words. Both languages say the same numbers in the same order."""
    words = _WORDS[language]
    if not derivation.get("matches", True):
        return words["unmatched"].format(**_fields(derivation, language))
    is_debit = "corrects" in derivation and derivation["kind"] == "standing"
    parts = [words["debit" if is_debit else derivation["kind"]].format(**_fields(derivation, language))]
    parts += _swap_said(derivation, language)
    parts += [
        words["estimate"].format(**_estimate_fields(estimate, language))
        for estimate in derivation.get("estimates", ())
        if estimate["rule"] != "read"
    ]
    if len(derivation.get("registers", ())) > 1:
        shown = [
            words["register"].format(register=one["register"], usage=_usage(one["usage"], one["register"], language))
            for one in derivation["registers"]
        ]
        parts.append(words["registers"].format(registers=words["and"].join(shown)))
    for one in derivation.get("intervals", ()):
        parts += _interval_said(one, derivation["quantity"], language)
    if derivation.get("steps"):
        parts.append(_steps_said(derivation, language))
    if "share" in derivation:
        by_volume = derivation["share"].get("by") == "volume"
        parts.append(words["share by volume" if by_volume else "share"].format(**_share_fields(derivation, language)))
    if "corrects" in derivation:
        parts.append(words["corrects"].format(**_correction_fields(derivation["corrects"])))
    return words["joint"].join(parts)


def _fields(derivation: Derivation, language: Language) -> dict[str, str]:
    return {
        "from_date": derivation["from"],
        "to_date": derivation["to"],
        "usage": _usage(derivation.get("used", "0"), derivation["quantity"], language),
        "count": _count(derivation),
        "amount": _yuan(derivation["amount"]),
    }


def _count(derivation: Derivation) -> str:
    count = Decimal(derivation.get("count", "0"))
    return _plain(count / 100) if derivation.get("basis") == "area" else _plain(count)


def _estimate_fields(estimate: Mapping[str, Any], language: Language) -> dict[str, str]:
    inputs = estimate["inputs"]
    return {
        "rule": _WORDS[language][f"rule {estimate['rule']}"],
        "name": estimate["rule"],
        "register": estimate["register"],
        "from_date": estimate["from"],
        "to_date": estimate["to"],
        "usage": _usage(estimate["usage"], estimate["register"], language),
        "first": inputs[0]["date"],
        "last": inputs[-1]["date"],
        "first_value": _usage(inputs[0]["value"], estimate["register"], language),
        "last_value": _usage(inputs[-1]["value"], estimate["register"], language),
    }


def _interval_said(interval: Mapping[str, Any], quantity: str, language: Language) -> list[str]:
    """For how long each price held and what fell into it, and how often no reading said so."""
    words = _WORDS[language]
    prices = [
        words["price"].format(
            register=one["register"],
            hours=words["hours"].format(hours=one["hours"])
            + (words["minutes"].format(minutes=one["minutes"]) if one["minutes"] != "0" else ""),
            usage=_usage(one["usage"], quantity, language),
        )
        for one in interval["prices"]
    ]
    said = [words["intervals"].format(**_texts(interval), prices=words["and"].join(prices))]
    if interval["gaps"] != "0":
        said.append(words["gaps"].format(**_texts(interval)))
    if interval["suspect"] != "0":
        said.append(words["suspect"].format(**_texts(interval)))
    return said


def _swap_said(derivation: Derivation, language: Language) -> list[str]:
    """What each meter counted, where one took another's place."""
    spans, words = derivation.get("spans", ()), _WORDS[language]
    if len(derivation.get("registers", ())) > 1 or len({span["device"] for span in spans}) < 2:
        return []
    said = [
        words["meter"].format(to_date=span["to"], usage=_usage(span["usage"], derivation["quantity"], language))
        for span in spans
    ]
    return [words["swapped"].format(meters=words["and"].join(said))]


def _texts(interval: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in interval.items() if isinstance(value, str)}


def _steps_said(derivation: Derivation, language: Language) -> str:
    words, quantity = _WORDS[language], derivation["quantity"]
    shown = [
        words["step" if "price" in one else "mixed step"].format(
            step=one["step"], usage=_usage(one["used"], quantity, language), price=_price(one.get("price"), quantity)
        )
        for one in derivation["steps"]
    ]
    whole = derivation["share"]["pool_amount"] if "share" in derivation else derivation["amount"]
    return words["steps"].format(steps=words["and"].join(shown), amount=_yuan(whole))


def _share_fields(derivation: Derivation, language: Language) -> dict[str, str]:
    share, names = derivation["share"], ("key", "key_before", "key_sum")
    by_area = share.get("by") == "area"
    keys = {name: _plain(Decimal(share[name]) / (100 if by_area else 1)) for name in names}
    if "register" in share:
        keys = {name: _usage(share[name], share["register"], language) for name in names}
    return {
        **keys,
        "unit": " m²" if by_area else "",
        "pool_amount": _yuan(share["pool_amount"]),
        "amount": _yuan(derivation["amount"]),
    }


def _correction_fields(corrects: Mapping[str, str]) -> dict[str, str]:
    return {
        "from_date": corrects["from"],
        "to_date": corrects["to"],
        "charged": _yuan(corrects["charged"]),
        "right": _yuan(corrects["right"]),
    }


def _usage(value: str, quantity: str, language: Language) -> str:
    base = unit_of(quantity)
    if base not in _SHOWN:
        return f"{value} {base}" if base else value
    divisor, names = _SHOWN[base]
    return f"{_plain(Decimal(value) / divisor)} {names[language]}"


def _price(nanofen: str | None, quantity: str) -> str:
    """Yuan for one of the units that are shown."""
    if nanofen is None:
        return ""
    divisor = _SHOWN.get(unit_of(quantity) or "", (Decimal(1), {}))[0]
    return _plain(Decimal(nanofen) * divisor / _NANOFEN / _FEN)


def _yuan(fen: str) -> str:
    return f"{Decimal(fen) / _FEN:.2f}"


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "joint": " ",
        "and": ", ",
        "unmatched": (
            "From {from_date} to {to_date}: charged {amount} yuan; "
            "the signed readings that are held do not give this line."
        ),
        "own": "From {from_date} to {to_date} the meter counted {usage}, by readings that the gateway signed.",
        "swapped": "Meters took each other's place: {meters}.",
        "meter": "until {to_date} {usage}",
        "estimated": "From {from_date} to {to_date} {usage} are estimated, because a signed reading is missing.",
        "interval": (
            "From {from_date} to {to_date} the meter counted {usage}, by readings that the gateway signed; it has no "
            "registers of its own for the prices by time."
        ),
        "shared": "From {from_date} to {to_date} the common meter counted {usage}.",
        "standing": "From {from_date} to {to_date}: {count}, {amount} yuan.",
        "debit": "{amount} yuan more for days that an earlier bill estimated.",
        "credit": "From {from_date} to {to_date}: {amount} yuan come back by a credit note.",
        "estimate": (
            "Register {register}, {from_date} to {to_date}: {usage} by the rule {name} ({rule}), from the entries of "
            "{first} ({first_value}) to {last} ({last_value})."
        ),
        "rule read": "both ends were read",
        "rule between": "this line's days of what was counted until the later reading",
        "rule joined": "by days between the readings around the missing one, so that neighbouring lines add up",
        "rule mean": "as many a day as in the month before the last reading",
        "rule mean-after": "as many a day as in the month after the first reading",
        "registers": "By register: {registers}.",
        "register": "{register} {usage}",
        "intervals": "When it was, {readings} signed readings say, by the clocks of {zone}: {prices}.",
        "price": "{register} {hours} {usage}",
        "hours": "{hours} h",
        "minutes": " {minutes} min",
        "gaps": (
            "At {gaps} of {changes} changes of price no reading was made within {tolerance_minutes} minutes: there the "
            "register is told by time between the readings before and after (rule by-time)."
        ),
        "suspect": "{suspect} readings were not believed.",
        "step": "step {step}: {usage} at {price} yuan",
        "mixed step": "step {step}: {usage} at the prices of all registers as they were mixed",
        "steps": "{steps}: {amount} yuan.",
        "share": (
            "All share {pool_amount} yuan by key: before you {key_before}{unit}, yours {key}{unit}, of {key_sum}{unit} "
            "together. You pay {amount} yuan."
        ),
        "share by volume": (
            "All share {pool_amount} yuan by what each flat's own meter counted, as the table says that was posted on "
            "chain for the period: the flats before you {key_before}, yours {key}, of {key_sum} together. You pay "
            "{amount} yuan."
        ),
        "corrects": "{from_date} to {to_date} was charged {charged} yuan by estimate; the readings give {right} yuan.",
    },
    "zh": {
        "joint": "",
        "and": "，",
        "unmatched": "{from_date} 至 {to_date}：收取 {amount} 元；现有的签名读数得不出这一行。",
        "own": "{from_date} 至 {to_date}，网关签名的读数表明用量为 {usage}。",
        "swapped": "其间更换过计量表：{meters}。",
        "meter": "至 {to_date} 计量 {usage}",
        "estimated": "{from_date} 至 {to_date}，因缺少签名读数，用量估计为 {usage}。",
        "interval": "{from_date} 至 {to_date}，网关签名的读数表明用量为 {usage}；该表没有分时寄存器。",
        "shared": "{from_date} 至 {to_date}，公共表计量 {usage}。",
        "standing": "{from_date} 至 {to_date}：{count}，{amount} 元。",
        "debit": "更正此前账单的估计，补收 {amount} 元。",
        "credit": "{from_date} 至 {to_date}：按贷项通知退回 {amount} 元。",
        "estimate": (
            "寄存器 {register}，{from_date} 至 {to_date}：{usage}，按规则 {name}（{rule}），"
            "依据 {first}（{first_value}）至 {last}（{last_value}）的签名读数。"
        ),
        "rule read": "两端均有读数",
        "rule between": "至下次读数为止的用量中属于本行天数的部分",
        "rule joined": "在缺失读数前后的读数之间按天数分摊，相邻各行之和等于实际用量",
        "rule mean": "按最后读数之前一个月的日均用量",
        "rule mean-after": "按首次读数之后一个月的日均用量",
        "registers": "按寄存器：{registers}。",
        "register": "{register} {usage}",
        "intervals": "用电时间由 {readings} 个签名读数得出，按 {zone} 的时钟：{prices}。",
        "price": "{register} {hours} {usage}",
        "hours": "{hours} 小时",
        "minutes": " {minutes} 分",
        "gaps": (
            "{gaps} 次（共 {changes} 次）价格变更前后 {tolerance_minutes} 分钟内没有读数：按前后读数之间的时间推算"
            "（规则 by-time）。"
        ),
        "suspect": "{suspect} 个读数未被采信。",
        "step": "第 {step} 档：{usage}，单价 {price} 元",
        "mixed step": "第 {step} 档：{usage}，按各寄存器的混合比例计价",
        "steps": "{steps}：合计 {amount} 元。",
        "share": (
            "共 {pool_amount} 元按份额分摊：在您之前 {key_before}{unit}，您 {key}{unit}，总计 {key_sum}{unit}。"
            "您应付 {amount} 元。"
        ),
        "share by volume": (
            "共 {pool_amount} 元按各户自家表计的用量分摊，用量以本期公布在链上的分摊表为准："
            "在您之前各户合计 {key_before}，您 {key}，总计 {key_sum}。您应付 {amount} 元。"
        ),
        "corrects": "{from_date} 至 {to_date} 曾按估计收取 {charged} 元；按读数应为 {right} 元。",
    },
}
