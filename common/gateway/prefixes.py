"""What a prompt begins with, as its event may name it: a keyed hash, which nobody else can make.

Without the installation's key nobody can try whether a text is the one that was hashed.
"""

import hmac

from common.llm.facts import CallFacts


def keyed_hash(facts: CallFacts, hash_key: bytes) -> str | None:
    """32 hex digits; None for a prompt without instructions and tools."""
    if facts.prefix is None:
        return None
    return hmac.digest(hash_key, b"prefix\n" + facts.prefix.digest, "sha256").hex()[:32]
