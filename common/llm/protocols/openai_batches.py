"""Submitting an OpenAI batch: what it costs is not known when it is accepted.

Source: OpenAI API reference, "Batch". The models stand in the file that a batch names, and its
usage in the files that it writes within a day, which need not be fetched through the gateway.
"""

from common.llm.facts import CallFacts, parse_object, parse_request
from common.llm.metered import Metered


def read_facts(body: bytes) -> CallFacts:
    """Facts without a model: a key that is bound to models does not carry a batch."""
    readable = parse_request(body) is not None
    return CallFacts(readable=readable, size_bytes=len(body), asynchronous=True)


def read_reply(body: bytes) -> Metered:
    if parse_object(body) is None:
        return Metered(failed=True, anomalies=("reply is not JSON",))
    return Metered()
