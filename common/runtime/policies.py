"""The versions of the brownout policy over a store, and the one that ships with the code."""

from common.brownout.policies import Policies
from common.brownout.policy import Policy
from common.brownout.policy_models import policy_from_data
from common.core.ports import Documents


def policies_of(documents: Documents) -> Policies:
    """The policies that these documents hold."""
    return Policies(documents, _shipped, policy_from_data)


def _shipped() -> Policy:
    from common.brownout.policy_file import shipped_policy  # noqa: PLC0415 - YAML, where needed

    return shipped_policy()
