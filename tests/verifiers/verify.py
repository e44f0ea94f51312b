"""Says whether the public PyPI package accepts a request: {secret, headers, body} in JSON on the
standard input, "accepted" or "refused: …" on the standard output."""

import json
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

request = json.load(sys.stdin)
try:
    Webhook(request["secret"]).verify(request["body"], request["headers"])
    print("accepted")
except WebhookVerificationError as error:
    print(f"refused: {error}")
