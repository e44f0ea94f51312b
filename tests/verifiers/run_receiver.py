"""Runs a published Flask receiver on a free port: `python run_receiver.py FILE`. Prints `listening PORT`, then a line for
each thing that the receiver does with what it got."""

import hashlib
import hmac
import json
import os
import sys
import types

from werkzeug.serving import make_server


def tell(what):
    return lambda *given, **named: print(what, json.dumps([*given, named]), flush=True)


def verify_signature(body, signature):
    """The document names it and shows it for Node only: the same here, over the bytes as they came."""
    secret = os.environ["WEBHOOK_SECRET"].encode()
    return hmac.compare_digest(hmac.new(secret, body, hashlib.sha256).hexdigest(), signature or "")


receiver = types.ModuleType("receiver")
receiver.verify_signature = verify_signature
receiver.db = types.SimpleNamespace(verifications=types.SimpleNamespace(update=tell("update")))
receiver.approve_application = tell("approve_application")
receiver.add_to_review_queue = tell("add_to_review_queue")
with open(sys.argv[1], encoding="utf-8") as file:
    exec(compile(file.read(), sys.argv[1], "exec"), receiver.__dict__)
# A Celery task, as the document has it; here it runs at once.
receiver.process_webhook.delay = receiver.process_webhook

server = make_server("127.0.0.1", 0, receiver.app, threaded=True)
print("listening", server.server_port, flush=True)
server.serve_forever()
