from minise.checks.cases import *  # noqa: F403
