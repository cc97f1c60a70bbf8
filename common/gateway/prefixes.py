"""What a prompt begins with, as its event may name it: a keyed hash, which nobody else can make.

Without the installation's key nobody can try whether a text is the one that was hashed.
"""

from hashlib import blake2b

from common.llm.facts import CallFacts

HASH_BYTES = 16


def keyed_hash(facts: CallFacts, hash_key: bytes) -> str | None:
    """32 hex digits; None for a prompt without instructions and tools."""
    if facts.prefix is None:
        return None
    key = hash_key[: blake2b.MAX_KEY_SIZE]
    hashed = blake2b(facts.prefix.digest, digest_size=HASH_BYTES, key=key, person=b"prefix")
    return hashed.hexdigest()
