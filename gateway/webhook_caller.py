"""Who calls back, by the signature of what they say."""

import time

from gateway.call import Call
from gateway.problems import Problem
from gateway.webhook_signature import ID, SIGNATURE, TIMESTAMP, NotSigned, verified

LONGEST_ID = 200


def message_id_of(call: Call, key: bytes, body: bytes) -> str:
    """The message's own. Raises Problem: 401 where it is not signed with the key, 400."""
    headers = {name: call.header(name) for name in (ID, TIMESTAMP, SIGNATURE)}
    try:
        message_id = verified(key, headers, body, time.time())
    except NotSigned as refused:
        raise Problem("signature-invalid", str(refused)) from refused
    if len(message_id) > LONGEST_ID:
        raise Problem("invalid-header", f"webhook-id is longer than {LONGEST_ID} characters")
    return message_id
