"""Rendering: one template environment per language, with the filters that print figures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

import contracts
from cloud.identity.roles import HOUSEHOLD, INVITES, OFFICERS, Role
from cloud.web import figures, language
from cloud.web.answers import Person, ReadingRef
from cloud.web.chart import beside, change_percent
from cloud.web.desk import Desk
from cloud.web.language import Language, choose_language, read_languages
from cloud.web.questions import Questions
from cloud.web.session import viewer_of
from cloud.web.settings import WebSettings
from cloud.web.spoken import SpokenEnvironment
from contracts.clock import Clock

TEMPLATE_DIRECTORY = Path(__file__).parent / "templates"
STATIC_DIRECTORY = Path(__file__).parent / "static"
VIEW_COOKIE = "minglou_view"
THEME_COOKIE = "minglou_theme"
VERIFIER_DIRECTORY = Path(contracts.__file__).parent / "js"
_IMPORTS = re.compile(r'from "\./(?:verifier/)?([\w.]+)"')


def _modules_of(script: Path) -> tuple[str, ...]:
    """The verifier's modules that a script loads: what it imports, and what that imports, and nothing else."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        for name in _IMPORTS.findall(waiting.pop().read_text(encoding="utf-8")):
            if name not in found:
                found.add(name)
                waiting.append(VERIFIER_DIRECTORY / name)
    return tuple(sorted(found))


VERIFIER_MODULES = _modules_of(STATIC_DIRECTORY / "check.js")  # of a check: owners fetch them before they ask for one
_CHECK_WORDS = ("evidence_steps", "bill_steps", "line_steps", "papers_steps", "verdict", "how")
_WORKS = frozenset({Role.CREW, Role.FIRM, Role.MANAGER, Role.COMMITTEE, Role.REGULATOR})
_OVERSEES = frozenset({Role.MANAGER, Role.COMMITTEE, Role.REGULATOR})
_OTHER_LANGUAGE = {"zh": "English", "en": "中文"}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's reader: who, in which language, at what time."""

    request: Request
    viewer: Person | None
    language: Language
    now_ms: int

    def say(self, sentence: str) -> str:
        """A sentence of the catalogs in the reader's language."""
        return self.language.translations.gettext(sentence)


class Pages:
    """Everything that a route needs to answer with a page."""

    def __init__(self, *, questions: Questions, settings: WebSettings, clock: Clock, desk: Desk | None = None) -> None:
        self.questions = questions
        self.desk = desk
        self.settings = settings
        self.clock = clock
        self._languages = read_languages()
        self._environments = {key: _environment(value, settings) for key, value in self._languages.items()}

    async def visit(self, request: Request) -> Visit:
        """Who reads this page, and how."""
        now_ms = self.clock.now_ms()
        viewer = await viewer_of(request, self.questions, self.settings, now_ms)
        return Visit(request=request, viewer=viewer, language=self.language_of(request), now_ms=now_ms)

    def language_of(self, request: Request) -> Language:
        """The reader's language."""
        key = choose_language(request.cookies.get(language.COOKIE), request.headers.get("accept-language"))
        return self._languages[key]

    def render(
        self,
        visit: Visit,
        template: str,
        *,
        status: int = 200,
        values: Mapping[str, Any] | None = None,
        personal: bool = False,
    ) -> HTMLResponse:
        """A whole page. Personal pages are never stored by a cache."""
        text = self.text(visit, template, values={**self._frame(visit), **(values or {})})
        headers = {
            "cache-control": "no-store" if visit.viewer or personal else "no-cache",
            "vary": "cookie, accept-language",
        }
        return HTMLResponse(text, status_code=status, headers=headers)

    def text(self, visit: Visit, template: str, *, values: Mapping[str, Any]) -> str:
        """A template's text in the reader's language, for what is no page of the site."""
        return self._environments[visit.language.key].get_template(template).render(values)

    def _frame(self, visit: Visit) -> dict[str, Any]:
        cookies = visit.request.cookies
        theme = cookies.get(THEME_COOKIE)
        return {
            "viewer": visit.viewer,
            "now_ms": visit.now_ms,
            "path": visit.request.url.path,
            "view": "elder" if cookies.get(VIEW_COOKIE) == "elder" else "normal",
            "theme": theme if theme in ("light", "dark") else "",
            "navigation": _navigation(visit),
            "has_accounts": self.desk is not None,
            "other_language_name": _OTHER_LANGUAGE[visit.language.key],
        }


def _navigation(visit: Visit) -> list[tuple[str, str]]:
    links: list[tuple[str, str]] = []
    role = visit.viewer.role if visit.viewer else None
    if visit.viewer is not None and role in HOUSEHOLD:
        links.append(("/home", visit.say("Home")))
        links += [(f"/bills/{door}", visit.say("Bills")) for door in visit.viewer.units[:1]]
        links.append(("/repairs", visit.say("Repairs")))
    elif role in OFFICERS and role is not Role.FIRM:
        links.append(("/site", visit.say("The site")))
    if role in _WORKS:
        links.append(("/work", visit.say("Work")))
    if role in _OVERSEES:
        links.append(("/oversight", visit.say("Oversight")))
    links.append(("/lifts", visit.say("Lifts")))
    if role in INVITES and role is not Role.OWNER:
        links.append(("/people", visit.say("People")))
    links.append(("/trust", visit.say("Trust")))
    if visit.viewer is not None and visit.viewer.grant is not None:
        links.append(("/account", visit.say("My access")))
    return links


def _environment(spoken: Language, settings: WebSettings) -> Environment:
    environment = SpokenEnvironment(
        spoken.translations,
        loader=FileSystemLoader(TEMPLATE_DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # asking every file for its age costs more than a small page
    )
    environment.install_gettext_translations(spoken.translations, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(
        language=spoken,
        site_title=settings.site_title,
        rpc_url=settings.rpc_url,
        verifier_modules=VERIFIER_MODULES,
        demo_note=settings.demo_note,
    )
    environment.filters.update(_filters(spoken, settings))
    words: Any = environment.get_template("check_words.html").module
    environment.globals["check_words"] = {name: getattr(words, name)() for name in _CHECK_WORDS}
    return environment


def _filters(spoken: Language, settings: WebSettings) -> dict[str, Any]:
    def register(ref: ReadingRef) -> str:
        figure, unit = figures.quantity_value(ref.value, ref.unit, spoken)
        return f"{figure} {unit}".rstrip()

    def amount_of(value: int, unit: str) -> str:
        figure, shown = figures.quantity_value(value, unit, spoken)
        return f"{figure} {shown}".rstrip()

    def exact_amount(register: int, unit: str) -> str:
        figure, shown = figures.exact_value(register, unit, spoken)
        return f"{figure} {shown}".rstrip()

    def day(value: date) -> str:
        return figures.day(value, spoken)

    def boundary_day(ref: ReadingRef) -> str:
        number = int(ref.quantity.rpartition("*")[2])
        return figures.day(date(number // 10_000, number // 100 % 100, number % 100), spoken)

    def short_day(value: date) -> str:
        return figures.short_day(value, spoken)

    def instant(at_ms: int) -> str:
        return figures.instant(at_ms, spoken, settings.timezone)

    def instant_to_second(at_ms: int) -> str:
        return figures.instant(at_ms, spoken, settings.timezone, seconds=True)

    return {
        "title_of": spoken.title,
        "money": figures.money,
        "kwh": figures.kilowatt_hours,
        "price": figures.price,
        "limit_of": lambda value, unit: figures.limit(value, unit, spoken),
        "area": figures.area,
        "whole": figures.whole,
        "iso_instant": figures.iso_instant,
        "register": register,
        "amount_of": amount_of,
        "exact_amount": exact_amount,
        "figure_of": lambda value, unit: figures.quantity_value(value, unit, spoken)[0],
        "unit_shown": lambda unit: figures.quantity_value(0, unit, spoken)[1],
        "permille": figures.permille,
        "percent": figures.percent,
        "beside": beside,
        "change_percent": change_percent,
        "day": day,
        "boundary_day": boundary_day,
        "short_day": short_day,
        "instant": instant,
        "instant_to_second": instant_to_second,
    }
