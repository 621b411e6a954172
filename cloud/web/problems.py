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
        _n("Use your passkey, or the code of your letter. If you were signed in before, your session has ended."),
    ),
    "method": (405, _n("This page cannot do that"), _n("Go back and use the button on the page.")),
    "refused": (
        403,
        _n("This did not come from our own page"),
        _n("Go back, load the page again and press its button. A link from elsewhere cannot do this for you."),
    ),
    "needs_passkey": (
        403,
        _n("This needs your passkey"),
        _n("You signed in with a one-time code, which only reads. Sign out, and sign in with your passkey."),
    ),
    "too_many": (
        429,
        _n("Too many attempts"),
        _n("Wait ten minutes, then try again. Nothing was changed."),
    ),
    "too_fast": (
        429,
        _n("Too many requests at once"),
        _n("Wait a minute, then load the page again. Nothing was changed."),
    ),
    "bad_photo": (
        422,
        _n("The photo cannot be read"),
        _n("Take a smaller one, as JPEG, PNG or WebP. Look at your repairs first: your words may be there already."),
    ),
    "unknown_label": (
        404,
        _n("This code is none of ours"),
        _n("Look at the twelve letters again. If the sticker says so, it is not ours: tell the property office."),
    ),
    "too_many_reports": (
        429,
        _n("Enough reports for now"),
        _n("Five were written from here within an hour, and they are being read. If somebody is in danger, call."),
    ),
    "too_many_words": (
        429,
        _n("Enough reports for now"),
        _n("Twenty were written for this flat today, and they are being read. If somebody is in danger, call."),
    ),
    "code": (
        401,
        _n("This code opens nothing"),
        _n("It was used already, was stopped, or is too old. Ask whoever gave you the letter for a new one."),
    ),
    "one_time_code": (
        401,
        _n("This code opens nothing"),
        _n("Each one-time code works once. Take the next code of your sheet, or sign in with your passkey."),
    ),
    "recovery": (
        409,
        _n("This letter is for a lost passkey"),
        _n(
            "A lost passkey is replaced by a new passkey only: "
            "sign out, then use the code in a browser that has passkeys."
        ),
    ),
    "early": (
        409,
        _n("This code is still waiting"),
        _n("A letter for a lost passkey opens after three days, so that its owner can stop it. Come back then."),
    ),
    "last_passkey": (
        409,
        _n("This is your only passkey"),
        _n("Add another one first. Without any, nobody could open your account again."),
    ),
    "too_many_tokens": (
        409,
        _n("There are ten tokens already"),
        _n("Revoke one that no program uses any more, then make the new one."),
    ),
    "not_done": (
        422,
        _n("This was not done"),
        _n("Something on the form does not fit, or is not in your care. Go back, load the page again and look."),
    ),
    "press_busy": (
        503,
        _n("Many bills are being printed"),
        _n("Try again in a minute. The bill's page, and its file with all figures, are there meanwhile."),
    ),
    "press_missing": (
        503,
        _n("This server cannot make PDFs yet"),
        _n(
            "Whoever runs it installs WeasyPrint (pip install minglou[cloud]), Pango and a Chinese font "
            "(Debian: libpango-1.0-0, libpangoft2-1.0-0, libharfbuzz-subset0, fonts-noto-cjk). "
            "The bill's page, and its file with all figures, are there meanwhile."
        ),
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
        "next_address": "/home" if visit.viewer else "/signin",
        "next_word": visit.say("Home") if visit.viewer else visit.say("Sign in"),
    }
    return pages.render(visit, "problem.html", status=status, values=values)


def problem_of_status(status: int) -> str:
    """Which problem an HTTP status is."""
    return {401: "sign_in", 403: "refused", 404: "not_found", 405: "method", 429: "too_many"}.get(status, "failure")


def problem_of_refusal(code: str) -> str:
    """Which problem a refusal of `cloud.identity` is."""
    return code if code in _PROBLEMS else "not_done"
