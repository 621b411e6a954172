"""What a page always says is translated when its template is read, and reads as Jinja's own extension has it."""

import gettext

from jinja2 import Environment

from cloud.web.language import read_languages
from cloud.web.spoken import SpokenEnvironment

TEMPLATE = (
    '<nav title="{{ _("Home") }}">{{ _("Sign out") }}|{{ _("%(area)s m²", area="<b>") }}|{{ _("100%% of it") }}|'
    "{% trans %}Bills{% endtrans %}|{{ shown(_('Lifts')) }}|{{ _(word) }}</nav>"
)


class _Counting(gettext.NullTranslations):
    def __init__(self, inner: gettext.NullTranslations) -> None:
        super().__init__()
        self.inner, self.asked = inner, list[str]()

    def gettext(self, message: str) -> str:
        self.asked.append(message)
        return self.inner.gettext(message)


def test_a_template_of_one_language_reads_as_one_that_asks_each_time() -> None:
    for language in read_languages().values():
        told = []
        for made in (Environment(**_options()), SpokenEnvironment(language.translations, **_options())):
            made.install_gettext_translations(language.translations, newstyle=True)  # type: ignore[attr-defined]
            told.append(made.from_string(TEMPLATE).render(shown=lambda said: said, word="Trust & <all>"))
        assert told[0] == told[1]
        assert "&lt;b&gt;" in told[1] and "100% of it" in told[1]


def test_a_page_asks_for_no_sentence_again_that_it_always_says() -> None:
    spoken = _Counting(read_languages()["zh"].translations)
    environment = SpokenEnvironment(spoken, **_options())
    environment.install_gettext_translations(spoken, newstyle=True)  # type: ignore[attr-defined]
    template = environment.from_string(TEMPLATE)
    spoken.asked.clear()
    template.render(shown=str, word="Home")
    assert spoken.asked == ["%(area)s m²", "Home"]


def _options() -> dict[str, object]:
    return {"autoescape": True, "extensions": ["jinja2.ext.i18n"]}
