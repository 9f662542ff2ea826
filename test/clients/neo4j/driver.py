"""Connects by Neo4j's Python driver with the URI a user types; prints the answers as JSON."""

import json
import os

from neo4j import GraphDatabase

where = f"{os.environ['HOST']}:{os.environ['PORT']}"
auth = (os.environ["USERNAME"], os.environ["PASSWORD"])


def ask(scheme):
    with GraphDatabase.driver(f"{scheme}://{where}", auth=auth) as driver:
        driver.execute_query("match (n) detach delete n")
        driver.execute_query(
            "unwind range(1, 5000) as n create (:Number {n: n, word: $word + toString(n)})", word="w"
        )
        records, _, _ = driver.execute_query("match (n:Number) return n.word as w order by n.n")
        return [len(records), records[-1]["w"]]


print(json.dumps({scheme: ask(scheme) for scheme in ("bolt+s", "neo4j+s")}))
