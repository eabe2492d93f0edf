"""Forecasts in a process of their own: a great one is many seconds of computing, during which pages and tracking must go on.

Run as a module it reads a `Question` as JSON, answers with the forecast, and ends: below everything else in priority, and by itself after
the seconds it is given, whatever became of who asked.
"""

import gc
import os
import signal
import subprocess
import sys
from datetime import datetime
from typing import Final

import msgspec

from cleanmails.errors import BusyError
from cleanmails.records import CampaignView, SenderView
from cleanmails.rules.forecast import Cohort, Forecast, forecast
from cleanmails.rules.virtual import Assumed

LONGEST_SECONDS: Final = 120
AT_HAND: Final = 500
"""So many leads are foretold in less time than it takes to start a process (0.2 s)."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What `rules.forecast.forecast` is asked."""

    campaign_id: int
    campaigns: list[CampaignView]
    senders: list[SenderView]
    cohorts: list[Cohort]
    rates: dict[str, float]
    start: datetime
    horizon_days: int
    assumed: Assumed

    def answer(self) -> Forecast:
        """Foretell it here."""
        return forecast(
            self.campaign_id,
            self.campaigns,
            self.senders,
            self.cohorts,
            self.rates,
            self.start,
            horizon_days=self.horizon_days,
            assumed=self.assumed,
        )


def foretell(question: Question, longest: float = LONGEST_SECONDS) -> Forecast:
    """The forecast; in a process of its own if there are many leads. BusyError when it takes longer than `longest` seconds."""
    if sum(cohort.count for cohort in question.cohorts) <= AT_HAND:
        return question.answer()
    line = [sys.executable, "-m", __name__, str(longest)]
    done = subprocess.run(line, input=msgspec.json.encode(question), stdout=subprocess.PIPE, check=False)
    if done.returncode == -signal.SIGALRM:
        raise BusyError("This forecast takes too long: ask for fewer days.", retry_after=LONGEST_SECONDS)
    done.check_returncode()
    return msgspec.json.decode(done.stdout, type=Forecast)


def main() -> None:
    """The other process."""
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]))
    os.nice(10)
    gc.disable()  # nearly all that a forecast makes is free of circles, and the process ends soon
    question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
    sys.stdout.buffer.write(msgspec.json.encode(question.answer()))


if __name__ == "__main__":
    main()
