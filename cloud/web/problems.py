"""Pages for what goes wrong. Each says what to do next; none says whether another's thing exists."""

from starlette.responses import HTMLResponse

from cloud.web.page import Pages, Visit


def _n(sentence: str) -> str:
    """Mark a sentence for the catalogs; it is translated when shown."""
    return sentence


_PROBLEMS: dict[str, tuple[int, str, str]] = {
    "not_found": (
        404,
        _n("There is nothing here for you"),
        _n("The address is mistyped, or it belongs to somebody else. Begin again from your own page."),
    ),
    "sign_in": (
        401,
        _n("Please sign in first"),
        _n("Open the link in your activation letter. If you were signed in before, your session has ended."),
    ),
    "method": (405, _n("This page cannot do that"), _n("Go back and use the button on the page.")),
    "refused": (
        403,
        _n("This did not come from our own page"),
        _n("Go back, load the page again and press its button. A link from elsewhere cannot do this for you."),
    ),
    "failure": (
        500,
        _n("Something broke on our side"),
        _n("Nothing of yours is lost. Try again in a minute; if it stays, tell the property office the time."),
    ),
}


def problem_page(pages: Pages, visit: Visit, code: str) -> HTMLResponse:
    """The page of one problem, with its status."""
    status, heading, remedy = _PROBLEMS[code]
    values = {
        "heading": visit.say(heading),
        "remedy": visit.say(remedy),
        "next_address": "/home" if visit.viewer else "/",
        "next_word": visit.say("Home") if visit.viewer else visit.say("To the first page"),
    }
    return pages.render(visit, "problem.html", status=status, values=values)


def problem_of_status(status: int) -> str:
    """Which problem an HTTP status is."""
    return {401: "sign_in", 403: "refused", 404: "not_found", 405: "method"}.get(status, "failure")
