"""Log excerpts of our own for each entry of the catalogue: what a program says when that goes wrong.

`{n}` and the like are replaced by other numbers and paths in test_catalogue.py, so that no test depends on one.
"""

from __future__ import annotations

from excerpts_in_other_words import IN_OTHER_WORDS
from excerpts_of_jobs import OF_JOBS
from excerpts_of_nodes import OF_NODES
from excerpts_of_pods import OF_PODS
from excerpts_of_servers import OF_SERVERS

EXCERPTS = [*OF_JOBS, *OF_SERVERS, *OF_PODS, *OF_NODES, *IN_OTHER_WORDS]
