"""promote: campaigns that asked for it go on with the best of their subjects, once it is sure which one that is. Part of upkeep."""

from itertools import groupby

from cleanmails import log
from cleanmails.actors.work import Work
from cleanmails.ledger import subjects
from cleanmails.rules.subjects import Tally, judge

logger = log.get(__name__)


def promote(work: Work) -> int:
    """How many steps found their subject in this round."""
    with work.database.transaction() as db:
        campaigns = subjects.undecided(db)
    promoted = 0
    for workspace_id, campaign_id in campaigns:
        with work.database.transaction() as db:
            rows = subjects.figures(db, workspace_id, campaign_id)
            for step, group in groupby(rows, lambda row: row["step"]):
                tried = list(group)
                if len(tried) < 2 or tried[0]["winner"] is not None:
                    continue
                counted = "opened" if tried[0]["promote_winner"] == "opens" else "replied"
                verdict = judge([Tally(row["sent"], row[counted]) for row in tried])
                if verdict.decided and verdict.best is not None:
                    promoted += subjects.promote(db, campaign_id, step, tried[0]["version"], verdict.best)
                    logger.info("subject.promoted", campaign=campaign_id, step=step, subject=verdict.best)
    return promoted
