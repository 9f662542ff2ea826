"""Connects by pymongo with the URI a user types; prints the answers as JSON."""

import json
import os

from pymongo import MongoClient

where = f"{os.environ['HOST']}:{os.environ['PORT']}"
client = MongoClient(f"mongodb://{where}/?tls=true&tlsCAFile={os.environ['CA']}")
numbers = client.test.numbers
numbers.insert_many({"n": n, "word": f"word {n}", "fill": "x" * 1000} for n in range(5000))
found = [row["word"] for row in numbers.find({"n": {"$gte": 4998}}).sort("n")]
fill = sum(len(row["fill"]) for row in numbers.find())
removed = numbers.delete_many({"n": {"$lt": 10}}).deleted_count
print(json.dumps({"found": found, "fill": fill, "removed": removed}))
