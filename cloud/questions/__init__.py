"""Answers to what pages ask (`cloud.web.questions`), from the store, the followed chain and the directory."""

from cloud.questions.balance import BalanceQuestions
from cloud.questions.crew import CrewQuestions
from cloud.questions.lifts import LiftQuestions
from cloud.questions.oversight import OversightQuestions
from cloud.questions.own import OwnQuestions
from cloud.questions.paper import PaperQuestions
from cloud.questions.site import SiteQuestions
from cloud.questions.swaps import SwapQuestions

__all__ = ["StoreQuestions"]


class StoreQuestions(
    OwnQuestions,
    SwapQuestions,
    SiteQuestions,
    PaperQuestions,
    LiftQuestions,
    OversightQuestions,
    CrewQuestions,
    BalanceQuestions,
):
    """All of them. Every method filters by viewer itself: a page that forgets to check shows nothing."""
