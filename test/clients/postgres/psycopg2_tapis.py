"""Connects as the Tapis documentation has it; prints the server's answers as JSON."""

import json
import os

import psycopg2


def ask(**more):
    connection = psycopg2.connect(
        host=os.environ["HOST"],
        port=int(os.environ["PORT"]),
        user=os.environ["USERNAME"],
        password=os.environ["PASSWORD"],
        dbname="postgres",
        **more,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("create temporary table t as select generate_series(1, 1000) as n")
        cursor.execute("select sum(n) from t")
        (total,) = cursor.fetchone()
    encrypted = connection.info.ssl_in_use
    connection.close()
    return [total, encrypted]


print(
    json.dumps(
        {
            "default": ask(),
            "require": ask(sslmode="require"),
            "verify-full": ask(sslmode="verify-full", sslrootcert=os.environ["CA"]),
        }
    )
)
