"""The late policy: what a submission after the due date costs. By default, nothing.

nbgrader knows the due date (of the assignment, or of one student's extension) and when a submission
came; this says how many points that takes away. In `nbgrader_config.py`:

    c.LatePolicy.penalty_method = "percent"  # "none" (the default), "percent" or "zero"
    c.LatePolicy.percent_per_day = 10  # of the points earned, for each day that has begun
    c.LatePolicy.grace_minutes = 15  # so much later, it is not late; days count from there
    c.LatePolicy.at_most_percent = 50  # never more than this, however late

With these, 14 minutes late cost nothing, 16 minutes 10 % of what was earned, a day and 16 minutes
20 %, a month 50 %. Nobody falls below zero points, and nobody gains any.
"""

import math
from collections.abc import Sequence

from nbgrader.api import Grade, Gradebook, SubmittedAssignment
from nbgrader.plugins import BasePlugin, LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from traitlets import Enum, Float, TraitError, validate
from traitlets.config import Config

from autograder.errors import Refused

DAY = 86_400
LISTED = 5  # of those whose penalty changed


class LatePolicy(LateSubmissionPlugin):
    """nbgrader asks it for each notebook that came late, for a penalty in points."""

    penalty_method = Enum(
        ("none", "percent", "zero"),
        default_value="none",
        help="What being late costs: nothing, a percentage a day, or all points.",
    ).tag(config=True)
    percent_per_day = Float(
        10.0, min=0.0, max=100.0, help="Of the points earned, for each day that has begun."
    ).tag(config=True)
    grace_minutes = Float(
        0.0, min=0.0, help="Minutes after the due date that cost nothing; days count from there."
    ).tag(config=True)
    at_most_percent = Float(
        100.0, min=0.0, max=100.0, help="No penalty is more than this, of the points earned."
    ).tag(config=True)

    @validate("percent_per_day", "grace_minutes", "at_most_percent")
    def _finite(self, proposal):
        if not math.isfinite(proposal["value"]):
            raise TraitError(f"{proposal['trait'].name} must be a number, not {proposal['value']}.")
        return proposal["value"]

    def late_submission_penalty(
        self, student_id: str, score: float, total_seconds_late: float
    ) -> float | None:
        """The points that are taken away, from 0 to `score`; None where being late is free."""
        over = total_seconds_late - 60 * self.grace_minutes
        if self.penalty_method == "none" or over <= 0:
            return None
        percent = 100.0
        if self.penalty_method == "percent":
            percent = min(self.percent_per_day * math.ceil(over / DAY), self.at_most_percent)
        earned = max(0.0, score)
        return min(earned, earned * percent / 100)  # rounding may not take more


def policy_of(config: Config) -> BasePlugin:
    """The course's policy: LatePolicy, or the plugin that nbgrader's settings name.

    Raises Refused where they name one that does not exist, or a value that is none.
    """
    try:
        assign = AssignLatePenalties(config=config)
        assign.init_plugin()
    except (TraitError, ImportError) as error:
        raise Refused(f"The late policy in nbgrader_config.py is wrong: {error}") from None
    return assign.plugin_inst


def penalty_due(policy: BasePlugin, submission: SubmittedAssignment, score: float) -> float | None:
    """What a notebook with this score loses: never more than there is, None where nothing is due."""
    # nbgrader fails on an extension where there is no due date to extend.
    late = submission.total_seconds_late if submission.assignment.duedate else 0.0
    penalty = policy.late_submission_penalty(submission.student_id, score, late) if late else None
    return None if penalty is None else min(max(float(penalty), 0.0), score)


def settle(gradebook: Gradebook, config: Config) -> list[str]:
    """Bring every penalty up to date; returns "student assignment" for those that changed.

    nbgrader works a penalty out while it grades by machine, from the points of that moment. Points
    given by hand, an extension, or another policy come later; this takes them in, so that the
    penalty is what it would be were all graded now. To settle twice is to settle once. However many
    students there are, it asks the gradebook twice, and writes only what changes.
    Raises Refused as `policy_of`.
    """
    policy, changed = policy_of(config), []
    earned = dict(
        gradebook.db.execute(
            select(Grade.notebook_id, func.sum(Grade.score)).group_by(Grade.notebook_id)
        ).all()
    )
    submissions = gradebook.db.scalars(
        select(SubmittedAssignment).options(
            joinedload(SubmittedAssignment.assignment), joinedload(SubmittedAssignment.notebooks)
        )
    )
    for submission in submissions.unique():
        name = f"{submission.student_id} {submission.assignment.name}"
        for notebook in submission.notebooks:
            due = penalty_due(policy, submission, float(earned.get(notebook.id, 0.0)))
            before = notebook.late_submission_penalty
            if not math.isclose(before or 0.0, due or 0.0, abs_tol=1e-9):
                notebook.late_submission_penalty = due
                changed.append(name)
    gradebook.db.commit()
    return sorted(set(changed))


def told(changed: Sequence[str]) -> str:
    """One line about penalties that were settled, for people."""
    more = f" and {len(changed) - LISTED} others" if len(changed) > LISTED else ""
    return f"Late penalties brought up to date: {', '.join(changed[:LISTED])}{more}."
