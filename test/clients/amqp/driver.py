"""Connects by pika with the URL a user types; prints the answers as JSON."""

import json
import os
from urllib.parse import quote

import pika

where = f"{os.environ['HOST']}:{os.environ['PORT']}"
who = f"{os.environ['USERNAME']}:{quote(os.environ['PASSWORD'], safe='')}"
connection = pika.BlockingConnection(pika.URLParameters(f"amqps://{who}@{where}/"))
channel = connection.channel()
channel.confirm_delivery()
channel.queue_declare("work", exclusive=True)
for n in range(500):
    channel.basic_publish("", "work", f"message {n} ".encode() + b"x" * 10_000)

received = []
for method, _, body in channel.consume("work", inactivity_timeout=10):
    received.append(len(body))
    channel.basic_ack(method.delivery_tag)
    if len(received) == 500:
        last = body[:11].decode()
        break
channel.cancel()
connection.close()
print(json.dumps({"messages": len(received), "bytes": sum(received), "last": last}))
