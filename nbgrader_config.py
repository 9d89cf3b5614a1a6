"""nbgrader's settings for this course. Run nbgrader from this folder."""

import os
import warnings
from pathlib import Path

from autograder.grading import gradebook

gradebook.be_patient()

c = get_config()  # noqa: F821

ROOT = Path(__file__).resolve().parent
(ROOT / "class").mkdir(exist_ok=True)  # SQLite makes its file, but no folder

# nbgrader's own queries, under SQLAlchemy 2; they add what is needed all the same.
warnings.filterwarnings("ignore", message="Object of type <Submitted")

# Assignments are made from solutions/ into chapters/, where they stand beside the readings. What
# belongs to one class is in class/, which git ignores.
c.CourseDirectory.course_id = "what-the-gradient-remembers"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "chapters"
c.CourseDirectory.submitted_directory = os.path.join("class", "submitted")
c.CourseDirectory.autograded_directory = os.path.join("class", "autograded")
c.CourseDirectory.feedback_directory = os.path.join("class", "feedback")
c.CourseDirectory.solution_directory = os.path.join("class", "solution")
c.CourseDirectory.source_with_tests_directory = os.path.join("class", "source_with_tests")
c.CourseDirectory.db_url = os.environ.get(
    "AUTOGRADER_DB_URL", f"sqlite:///{ROOT / 'class' / 'gradebook.db'}"
)

# The released notebooks are in git, so they are there before the gradebook knows of them; without
# this, nbgrader would leave both as they are.
c.GenerateAssignment.force = True

# An assignment is one notebook. Modules that lie beside it would be imported instead of NumPy's or
# the autograder's own, and pages would run in the browser of whoever opens them, with all that a
# grader may do: neither is copied. The first line is nbgrader's default.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback",
    "*.py", "*.pyd", "*.so", "*.dll",
    "*.html", "*.htm", "*.xhtml", "*.xht", "*.mhtml", "*.mht", "*.xml", "*.svg",
]  # fmt: skip

# A submission's text is put into a fresh copy of the assignment, executed in a kernel that only
# answers, and judged outside that kernel.
c.Autograde.exporter_class = "autograder.grading.sanitise.SubmissionExporter"
c.Autograde.sanitize_preprocessors = [
    "autograder.grading.sanitise.Sanitise",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "autograder.grading.execution.Execute",
    "autograder.grading.judging.Judge",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# What it costs to hand in after the due date. As it stands: nothing. autograder/grading/late.py
# says what "percent" and "zero" do.
c.AssignLatePenalties.plugin_class = "autograder.grading.late.LatePolicy"
c.LatePolicy.penalty_method = "none"
c.LatePolicy.percent_per_day = 10
c.LatePolicy.grace_minutes = 15
c.LatePolicy.at_most_percent = 50

# Seconds. A right answer takes well under one; a machine under load may keep a kernel waiting.
c.Execute.timeout = int(os.environ.get("AUTOGRADER_CELL_SECONDS", "30"))
c.Execute.startup_timeout = 120
c.Execute.iopub_timeout = 20
c.Execute.interrupt_on_timeout = True
c.Execute.error_on_timeout = {
    "ename": "CellTimeoutError",
    "evalue": f"not done after {c.Execute.timeout} seconds",
    "traceback": [f"CellTimeoutError: not done after {c.Execute.timeout} seconds"],
}
c.Execute.shutdown_kernel = "immediate"  # nothing in it is worth a second of waiting
# The kernel listens on this machine alone, and only to who has its key: no need to warn each time.
c.Execute.extra_arguments = ["--IPKernelApp.log_level=ERROR"]
c.Execute.store_widget_state = False
