"""TLS from the first byte (libpq 17), names resolved by the caller; prints answers as JSON."""

import json
import os

import psycopg

conninfo = {
    "host": os.environ["HOST"],
    "hostaddr": "127.0.0.1",
    "port": os.environ["PORT"],
    "user": os.environ["USERNAME"],
    "password": os.environ["PASSWORD"],
    "dbname": "postgres",
    "sslmode": "verify-full",
    "sslrootcert": os.environ["CA"],
    "sslnegotiation": "direct",
}

with psycopg.connect(**conninfo) as connection:
    alpn = connection.pgconn.ssl_in_use
    with connection.cursor() as cursor:
        cursor.execute("create temporary table t (n int, word text)")
        with cursor.copy("copy t from stdin") as copy:
            for n in range(10_000):
                copy.write_row((n, f"word {n}"))
        cursor.execute("select count(*), max(word) from t")
        count, word = cursor.fetchone()

print(json.dumps({"encrypted": bool(alpn), "count": count, "word": word}))
